import { z } from 'zod';
import { divergenceIdSchema } from '../ids.js';

/**
 * How a run in Temporal and what Postgres says of it can differ.
 *
 * MISSING_RUN: work is open and Temporal has no run of it. LOST_RESULT: the run ended and its result is not in Postgres.
 * RUN_AHEAD: the run has done steps that Postgres lost in a restore. LINGERING_RUN: the work has ended and its run goes
 * on. ORPHANED_RUN: a run that nothing in Postgres asks for. ENDED_EARLY: the run was ended from outside, or failed
 * without settling its work. EFFECT_IN_DOUBT: Temporal says that a run ended after the point that Postgres was restored
 * to, and Postgres does not know it.
 */
export const divergenceKinds = [
  'MISSING_RUN',
  'LOST_RESULT',
  'RUN_AHEAD',
  'LINGERING_RUN',
  'ORPHANED_RUN',
  'ENDED_EARLY',
  'EFFECT_IN_DOUBT',
] as const;
export type DivergenceKind = (typeof divergenceKinds)[number];

/** What was done about it: the run was started from its intent, it was stopped, or the rest is left to a person. */
export const divergenceActions = ['RESTARTED', 'STOPPED', 'HELD'] as const;
export type DivergenceAction = (typeof divergenceActions)[number];

/** OPEN waits for a person; SETTLED was done at once; RESOLVED is what a person has decided. */
export const divergenceStates = ['OPEN', 'SETTLED', 'RESOLVED'] as const;

/** ACCEPTED: it stays as it is. RESTART: the next pass starts the run again from its intent. */
const divergenceResolutions = ['ACCEPTED', 'RESTART'] as const;

/** One divergence as it is listed. */
export const divergenceViewSchema = z
  .object({
    id: divergenceIdSchema,
    kind: z.enum(divergenceKinds),
    action: z.enum(divergenceActions),
    state: z.enum(divergenceStates),
    workflowId: z.string(),
    workflowType: z.string(),
    runId: z.string().nullable(),
    detail: z.string(),
    foundAt: z.iso.datetime(),
    resolution: z.enum(divergenceResolutions).nullable(),
    resolvedBy: z.string().nullable(),
    resolvedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Divergence' });
export type DivergenceView = z.infer<typeof divergenceViewSchema>;

/** What a person decides about an open divergence. */
export const resolveDivergenceSchema = z.strictObject({
  resolution: z.enum(divergenceResolutions),
  reason: z.string().trim().min(1).max(500),
});
export type ResolveDivergence = z.infer<typeof resolveDivergenceSchema>;

/** A restore of Postgres to an earlier point; times in milliseconds since the epoch. */
export interface Restored {
  restorationId: string;
  /** The newest transaction that came back. */
  recoveredToMs: number;
}

/** What is found of one run, before it is written. */
export interface FoundDivergence {
  kind: DivergenceKind;
  action: DivergenceAction;
  workflowId: string;
  workflowType: string;
  runId: string | null;
  detail: string;
}
