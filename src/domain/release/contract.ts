import { z } from 'zod';
import { approvalIdSchema, type Env } from '../ids.js';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, WHOLE_BP } from '../units.js';
import { versionSchema } from '../registry/contract.js';
import type { WaitingOn } from '../search-attributes.js';
import type { Interval } from '../evaluation/intervals.js';
import { shadowBoundsSchema } from './shadow-verdict.js';

/** How a version reaches its target. `canary` and `ab` shift weight in steps; `rollback` needs no approval. */
export const releaseStrategies = ['canary', 'ab', 'blue_green', 'rollback'] as const;
export type ReleaseStrategy = (typeof releaseStrategies)[number];

/** What a target may be; prompts and policies are released by the same machine. */
export const targetKinds = ['model', 'prompt', 'policy'] as const;
export type TargetKind = (typeof targetKinds)[number];

/** Every state of a release; the last four are final. SHIFTING, BAKING and ANALYSING are those of a weight step. */
export const releaseStates = [
  'PREFLIGHT',
  'WARMING',
  'SHADOWING',
  'SHIFTING',
  'BAKING',
  'ANALYSING',
  'PAUSED',
  'PROMOTING',
  'VERIFYING',
  'BAKING_LABELS',
  'ROLLING_BACK',
  'SUCCEEDED',
  'ROLLED_BACK',
  'ABORTED',
  'SUPERSEDED',
] as const;
export type ReleaseState = (typeof releaseStates)[number];

/** Why a release waits for a person or for a switch to be lifted. */
export type PauseReason = 'OPERATOR' | 'KILL' | 'SHADOW_REVIEW' | 'SHADOW_INCONCLUSIVE';

/** Why a release goes back. It decides the final state and whether the version is barred. */
export type RevertCause =
  | 'PREFLIGHT_FAILED'
  | 'WARMING_FAILED'
  | 'SHADOW_FAILED'
  | 'SHADOW_INCONCLUSIVE'
  | 'NOT_READY'
  | 'APPROVAL_INVALID'
  | 'PROPAGATION_TIMEOUT'
  | 'ERROR_RATE'
  | 'LABEL_ERROR'
  | 'PAUSE_TIMEOUT'
  | 'CANCELLED'
  | 'ABORTED'
  | 'SUPERSEDED'
  | 'FAILED';

/** States of a shadow. Those from PASSED on are final. */
export const shadowStates = [
  'SCHEDULED',
  'WARMING',
  'COLLECTING',
  'ANALYSING',
  'PASSED',
  'REVIEW',
  'FAILED',
  'INCONCLUSIVE',
  'STOPPED',
  'BUDGET_EXHAUSTED',
] as const;

const durationMs = (max: number) => z.int().min(0).max(max);
const shareBp = z.int().min(0).max(WHOLE_BP);
const reasonText = z.string().trim().min(1).max(1_000);

/** A shadow stage: what is captured, and the bounds of its verdict (lifecycle.md §8.2). */
const shadowPlanSchema = z.strictObject({
  ...shadowBoundsSchema.shape,
  maxDurationMs: z
    .int()
    .min(1)
    .max(30 * DAY_MS)
    .default(7 * DAY_MS),
  sampleRateBp: z.int().min(1).max(WHOLE_BP).default(WHOLE_BP),
  tickMs: z.int().min(50).max(HOUR_MS).default(MINUTE_MS),
  costCapMicroUsd: z.int().min(0).optional(),
});

const stepSchema = z.strictObject({
  weightBp: z.int().min(1).max(WHOLE_BP),
  minDurationMs: durationMs(30 * DAY_MS),
  minSamplesPerArm: z.int().min(0),
  maxDurationMs: durationMs(30 * DAY_MS),
  requireHuman: z.boolean().default(false),
});

/** Steps of a canary where its plan names none. */
const defaultSteps = [100, 500, 2_500, 5_000, 10_000].map((weightBp) => ({
  weightBp,
  minDurationMs: 10 * MINUTE_MS,
  minSamplesPerArm: 500,
  maxDurationMs: DAY_MS,
  requireHuman: false,
}));

const planShape = {
  strategy: z.enum(releaseStrategies),
  /** Puts a shadow stage first; FAILED ends the release, REVIEW and INCONCLUSIVE pause it. */
  shadow: shadowPlanSchema.optional(),
  steps: z.array(stepSchema).max(20).optional(),
  maxErrorRateBp: shareBp.default(100),
  errorMarginBp: shareBp.default(200),
  guardrails: z.array(z.string().max(63)).max(20).optional(),
  /** A late judgement by labels: accuracy below the evaluated one by more than `marginBp` rolls back. */
  primaryMetric: z
    .strictObject({
      name: z.string().max(63),
      labelWindowMs: durationMs(90 * DAY_MS).min(1),
      minLabels: z.int().min(1).default(300),
      marginBp: shareBp.default(200),
    })
    .optional(),
  bakeMs: durationMs(30 * DAY_MS).default(HOUR_MS),
  tickMs: z
    .int()
    .min(50)
    .max(HOUR_MS)
    .default(30 * SECOND_MS),
  labelTickMs: z
    .int()
    .min(50)
    .max(DAY_MS)
    .default(5 * MINUTE_MS),
  verifyMs: durationMs(DAY_MS).default(MINUTE_MS),
  propagationTimeoutMs: z.int().min(100).max(HOUR_MS).default(MINUTE_MS),
  rollbackRetentionMs: durationMs(90 * DAY_MS).default(30 * DAY_MS),
  onInconclusive: z.enum(['pause', 'rollback']).default('pause'),
  pauseTimeoutMs: z
    .int()
    .min(1)
    .max(30 * DAY_MS)
    .default(DAY_MS),
  freezeWindows: z
    .array(
      z
        .strictObject({ from: z.iso.datetime(), to: z.iso.datetime() })
        .refine(({ from, to }) => Date.parse(from) < Date.parse(to), {
          path: ['to'],
          error: 'must be later than `from`',
        }),
    )
    .max(50)
    .default([]),
  segments: z.array(z.string().max(63)).max(50).optional(),
};

/** A rollout plan: what an approval binds and a release must repeat. */
export const releasePlanSchema = z.strictObject(planShape).meta({ id: 'RolloutPlan' });

/** A plan with every default filled in: what is digested, stored and carried out. */
export type ReleasePlan = Omit<z.infer<typeof releasePlanSchema>, 'steps'> & {
  steps: z.infer<typeof stepSchema>[];
};

/** Fills in the steps: those of a canary or A/B where none are named, none for the other strategies. Idempotent. */
export const completePlan = (plan: z.infer<typeof releasePlanSchema>): ReleasePlan => ({
  ...plan,
  steps: plan.steps ?? (plan.strategy === 'canary' || plan.strategy === 'ab' ? defaultSteps : []),
});

/** `POST /v1/models/{model}/envs/{env}/releases`: the approved plan, and what it releases. */
export const startReleaseSchema = z.strictObject({
  ...planShape,
  version: versionSchema,
  approvalId: approvalIdSchema,
  /** Rolls a running release back first, then starts. */
  supersede: z.boolean().default(false),
  reason: reasonText.optional(),
});

/** `POST …/rollbacks`. */
export const rollBackSchema = z.strictObject({
  toVersion: versionSchema.optional(),
  reason: reasonText,
  incidentId: z.string().max(63).optional(),
});

/** A person's order to a running release. */
export type ReleaseCommandName = 'pause' | 'resume' | 'proceed' | 'abort';
/** `supersede` is given by a newer release, never by an endpoint of its own. */
export type ReleaseOrder = ReleaseCommandName | 'supersede';
export const commandSchema = z.strictObject({ reason: reasonText });

/** `POST /v1/kill-switches`: what is switched off, in the environment of the key. */
const killScopeSchema = z.discriminatedUnion('level', [
  z.strictObject({ level: z.literal('tenant') }),
  z.strictObject({ level: z.literal('model'), model: z.string().max(63) }),
  z.strictObject({
    level: z.literal('version'),
    model: z.string().max(63),
    version: versionSchema,
  }),
]);
export const killModes = ['fallback', 'fail_closed'] as const;
export const createKillSchema = z.strictObject({
  scope: killScopeSchema,
  mode: z.enum(killModes),
  reason: reasonText,
});
export type CreateKill = z.infer<typeof createKillSchema>;

/** `(env, kind, name)` inside a tenant: what a routing row is for. */
export interface Target {
  env: Env;
  kind: TargetKind;
  name: string;
}

/** One check as the report shows it: value, interval, n and verdict against a bound. */
export interface ReleaseCheck {
  check: string;
  verdict: 'PASS' | 'FAIL' | 'REVIEW' | 'INCONCLUSIVE' | 'ERROR';
  value?: number | null;
  interval?: Interval | null;
  n?: number;
  bound?: number;
  p?: number | null;
  detail?: string;
}

/**
 * The one input of `rollOutRelease`: all thresholds and durations travel in the plan. It stays the same over
 * continue-as-new: progress is read from Postgres.
 */
export type RollOutReleaseInput = Target & {
  tenant: string;
  releaseId: string;
  version: number;
  riskClass: string;
  plan: ReleasePlan;
  /** Continue as new from this many history events on. */
  maxHistoryEvents: number;
};

/** How a release ended. */
export interface RollOutReleaseResult {
  releaseId: string;
  state: ReleaseState;
}

/** Where a release stands, as Postgres has it: what the workflow decides its next wait on. Times in ms since the epoch. */
export interface ReleaseProgress {
  state: ReleaseState;
  /** Number of the newest step; an activity names it, and a late one changes nothing. */
  seq: number;
  sinceMs: number;
  /** The database's clock at the reading. */
  nowMs: number;
  waitingOn: WaitingOn;
  reason: string;
  /** The release that has to end first. */
  queuedBehind: string | null;
  pausedFrom: ReleaseState | null;
  pauseReason: PauseReason | null;
  pauseDeadlineMs: number | null;
  /** End of the freeze that holds the promotion. */
  frozenUntilMs: number | null;
  shadowId: string | null;
  /** Epoch that this release's newest move of the pointer made. */
  movedEpoch: number | null;
  /** True once weight was given to the version. */
  promoted: boolean;
  /** Epoch that restored what was live before; 0 where nothing had moved. */
  restoredEpoch: number | null;
  /** When every serving process held the promoted epoch. */
  propagatedMs: number | null;
  labelsSinceMs: number | null;
  cause: RevertCause | null;
  laggards: string[];
  checks: ReleaseCheck[];
}

/** Workflow id of a release, and back. */
export const releaseWorkflowId = (tenant: string, releaseId: string): string =>
  `release/${tenant}/${releaseId}`;
export const parseReleaseWorkflowId = (
  workflowId: string,
): { tenant: string; releaseId: string } | undefined => {
  const [kind, tenant, releaseId, ...rest] = workflowId.split('/');
  if (kind !== 'release' || tenant === undefined || releaseId === undefined || rest.length > 0) {
    return undefined;
  }
  return { tenant, releaseId };
};

/** How an operator reads it: `credit v7 → prod`. */
export const releaseSummary = (release: { name: string; version: number; env: string }): string =>
  `${release.name} v${release.version} → ${release.env}`;
