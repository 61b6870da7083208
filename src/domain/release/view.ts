import { z } from 'zod';
import {
  killModes,
  releaseStates,
  releaseStrategies,
  shadowStates,
  targetKinds,
} from './contract.js';

const interval = z.object({ low: z.number(), high: z.number() });
const pointers = {
  active: z.int().nullable(),
  previous: z.int().nullable(),
};

/** A release in a list. */
export const releaseSummarySchema = z
  .object({
    id: z.string(),
    model: z.string(),
    env: z.string(),
    version: z.int(),
    strategy: z.enum(releaseStrategies),
    state: z.enum(releaseStates),
    waitingOn: z.string(),
    reason: z.string(),
    approvalId: z.string().nullable(),
    requestedBy: z.string(),
    createdAt: z.string(),
    endedAt: z.string().nullable(),
  })
  .meta({ id: 'ReleaseSummary' });
export type ReleaseSummary = z.infer<typeof releaseSummarySchema>;

const checkSchema = z
  .object({
    check: z.string(),
    verdict: z.enum(['PASS', 'FAIL', 'REVIEW', 'INCONCLUSIVE', 'ERROR']),
    value: z.number().nullable().optional(),
    interval: interval.nullable().optional(),
    n: z.int().optional(),
    bound: z.number().optional(),
    p: z.number().nullable().optional(),
    detail: z.string().optional(),
  })
  .meta({ id: 'ReleaseCheck' });

/** A release with its whole story. */
export const releaseViewSchema = releaseSummarySchema
  .extend({
    target: z.object({ env: z.string(), kind: z.enum(targetKinds), name: z.string() }),
    plan: z.record(z.string(), z.unknown()),
    planDigest: z.string(),
    /** The release that this one supersedes, while that one goes back. */
    queuedBehind: z.string().nullable(),
    since: z.string(),
    /** When a pause or a freeze ends. */
    nextAt: z.string().nullable(),
    cause: z.string().nullable(),
    /** Serving processes that were late: process, what is missing, age of its report. */
    laggards: z.array(z.string()),
    failure: z.object({ code: z.string(), message: z.string() }).nullable(),
    shadow: z
      .object({ shadowId: z.string(), state: z.enum(shadowStates), verdict: z.unknown() })
      .nullable(),
    epochs: z.array(z.object({ epoch: z.int(), ...pointers, move: z.string(), at: z.string() })),
    steps: z.array(
      z.object({
        seq: z.int(),
        state: z.enum(releaseStates),
        epoch: z.int().nullable(),
        reason: z.string(),
        actor: z.string(),
        checks: z.array(checkSchema),
        at: z.string(),
      }),
    ),
    /** Set once the release has ended; it and the story are final then. */
    reportDigest: z.string().nullable(),
  })
  .meta({ id: 'Release' });
export type ReleaseView = z.infer<typeof releaseViewSchema>;

const killInForce = z.object({
  killId: z.string(),
  scope: z.enum(['tenant', 'model', 'version']),
  mode: z.enum(killModes),
  version: z.int().nullable(),
});

/** One epoch of a pointer: what was live, since when, and who moved it. */
export const routingEntrySchema = z
  .object({
    epoch: z.int(),
    ...pointers,
    arms: z.array(z.object({ version: z.int(), weightBp: z.int() })),
    shadow: z.array(z.object({ shadowId: z.string(), version: z.int(), sampleRateBp: z.int() })),
    /** The strongest kill switch that was on. */
    kill: killInForce.nullable(),
    minEpoch: z.int(),
    move: z.string(),
    actor: z.string(),
    reason: z.string(),
    releaseId: z.string().nullable(),
    at: z.string(),
  })
  .meta({ id: 'RoutingEpoch' });
export type RoutingEntry = z.infer<typeof routingEntrySchema>;

/** States of a kill switch. */
export const killStates = ['ACTIVE', 'LIFT_REQUESTED', 'LIFTED'] as const;

/** A kill switch. */
export const killViewSchema = z
  .object({
    id: z.string(),
    scope: z.object({
      level: z.string(),
      model: z.string().optional(),
      version: z.int().optional(),
    }),
    env: z.string(),
    mode: z.enum(killModes),
    reason: z.string(),
    state: z.enum(killStates),
    /** The pointers that it moved, and to which epoch. */
    targets: z.array(z.object({ kind: z.string(), name: z.string(), epoch: z.int() })),
    createdBy: z.string(),
    createdAt: z.string(),
    liftRequestedBy: z.string().nullable(),
    liftedBy: z.string().nullable(),
    liftedAt: z.string().nullable(),
  })
  .meta({ id: 'KillSwitch' });
export type KillView = z.infer<typeof killViewSchema>;

/** A kill switch with the serving processes that do not hold it yet. */
export const killDetailSchema = killViewSchema
  .extend({ laggards: z.array(z.string()) })
  .meta({ id: 'KillSwitchDetail' });
export type KillDetail = z.infer<typeof killDetailSchema>;

/** A shadow with what its pairs say so far. */
export const shadowViewSchema = z
  .object({
    id: z.string(),
    releaseId: z.string().nullable(),
    model: z.string(),
    env: z.string(),
    version: z.int(),
    state: z.enum(shadowStates),
    input: z.record(z.string(), z.unknown()),
    verdict: z.unknown(),
    pairs: z.int(),
    errors: z.int(),
    disagreements: z.int(),
    labelled: z.int(),
    /** Where champion and candidate differ most, by what the champion answered; at most five. */
    slices: z.array(
      z.object({
        championLabel: z.string().nullable(),
        pairs: z.int(),
        disagreements: z.int(),
      }),
    ),
    /** Newest decisions on which they differ; at most 20. */
    disagreeing: z.array(z.string()),
    startedAt: z.string().nullable(),
    endedAt: z.string().nullable(),
  })
  .meta({ id: 'Shadow' });
export type ShadowView = z.infer<typeof shadowViewSchema>;
