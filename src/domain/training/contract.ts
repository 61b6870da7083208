// A training run:
// QUEUED → ADMITTED → RUNNING → EVALUATING_HOLDOUT → PACKAGING → REGISTERED. From any of the first five it may end as
// FAILED, CANCELLED, BUDGET_EXCEEDED (the wall clock ran out) or REJECTED_INPUT (the snapshot is no longer LIVE, or its
// purposes do not cover the run).
import { z } from 'zod';
import { fieldNameSchema } from '../datasets/field.js';
import { digestSchema, trainingRunIdSchema } from '../ids.js';
import { versionSchema } from '../registry/contract.js';
import { labelValueSchema, purposeSchema } from '../registry/contract.js';
import { textNameSchema } from '../text-name.js';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../units.js';
import { splitPlanSchema } from './split-plan.js';
import { gbtParamsSchema, logisticParamsSchema } from './trainer-params.js';

export const trainingStates = [
  'QUEUED',
  'ADMITTED',
  'RUNNING',
  'EVALUATING_HOLDOUT',
  'PACKAGING',
  'REGISTERED',
  'FAILED',
  'CANCELLED',
  'BUDGET_EXCEEDED',
  'REJECTED_INPUT',
] as const;
export type TrainingState = (typeof trainingStates)[number];

/** States that a run never leaves. */
const finalTrainingStates = [
  'REGISTERED',
  'FAILED',
  'CANCELLED',
  'BUDGET_EXCEEDED',
  'REJECTED_INPUT',
] as const;
export type FinalTrainingState = (typeof finalTrainingStates)[number];
export const isFinalTrainingState = (state: string): state is FinalTrainingState =>
  (finalTrainingStates as readonly string[]).includes(state);

const namesSchema = z.array(fieldNameSchema).max(2000);
const paramsSchema = z.record(z.string().max(64), z.unknown());

const localTrainerSchema = z.strictObject({
  kind: z.enum(['logistic', 'gbt']),
  params: paramsSchema
    .default({})
    .meta({ description: 'Parameters of the trainer; those left out take its defaults.' }),
});
const namedTrainerSchema = z.strictObject({
  kind: z.enum(['command', 'kubernetes', 'sagemaker']),
  name: z.string().min(1).max(63),
  params: paramsSchema.default({}),
});

const codeRefSchema = z.strictObject({
  repo: z.string().min(1).max(500),
  commit: z.string().regex(/^[0-9a-f]{7,64}$/),
});
const resourcesSchema = z.strictObject({
  cpu: z.number().min(0.1).max(1024).optional(),
  memoryMib: z.int().min(1).max(16_777_216).optional(),
  gpu: z.int().min(0).max(1024).default(0),
  gpuType: z.string().max(64).optional(),
});

/** Limits of a run. Only the wall clock is metered so far. */
const trainingBudgetSchema = z.strictObject({
  maxMicroUsd: z.int().min(0),
  maxWallClockMs: z
    .int()
    .min(0)
    .max(30 * DAY_MS)
    .meta({ description: 'Time from the first start of the trainer, retries included.' }),
  maxGpuMs: z.int().min(0),
});
const seedSchema = z.int().min(0).default(0);

/** Body of `POST /v1/models/{model}/training-runs`. */
export const startTrainingSchema = z.strictObject({
  snapshotId: digestSchema,
  evaluationSnapshotId: digestSchema.optional(),
  target: fieldNameSchema
    .optional()
    .meta({ description: 'The predicted field; the label of the contract by default.' }),
  positiveClass: labelValueSchema.optional(),
  features: namesSchema
    .min(1)
    .optional()
    .meta({ description: 'By default all fields that are not identifier, label or protected.' }),
  protectedAttributes: namesSchema.default([]),
  useProtected: z.boolean().default(false),
  trainer: z.discriminatedUnion('kind', [localTrainerSchema, namedTrainerSchema]),
  seed: seedSchema,
  split: splitPlanSchema.optional().meta({
    description: '80 % trains, 20 % is held out, unless an evaluation snapshot is given.',
  }),
  codeRef: codeRefSchema.optional(),
  resources: resourcesSchema.optional(),
  budget: trainingBudgetSchema,
  parentVersion: versionSchema.optional(),
  reason: z
    .literal('manual', { error: 'other reasons belong to the platform’s own workflows' })
    .default('manual'),
  experiment: textNameSchema(128).optional(),
  purpose: purposeSchema.optional().meta({ description: 'The purpose of the model by default.' }),
});
export type StartTraining = z.infer<typeof startTrainingSchema>;

/** What was decided before the start: the request with every default filled in. Stored with the run. */
export const trainingPlanSchema = z.object({
  model: z.string(),
  purpose: z.string(),
  snapshotId: digestSchema,
  evaluationSnapshotId: digestSchema.optional(),
  datasetContractId: z.string(),
  target: z.string(),
  /** Negative, then positive class, typed as the label field. */
  classes: z.tuple([labelValueSchema, labelValueSchema]),
  features: z.array(z.string()),
  protectedAttributes: z.array(z.string()),
  useProtected: z.boolean(),
  trainer: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('logistic'), params: logisticParamsSchema }),
    z.object({ kind: z.literal('gbt'), params: gbtParamsSchema }),
  ]),
  seed: z.int(),
  split: splitPlanSchema,
  codeRef: codeRefSchema.optional(),
  resources: resourcesSchema.optional(),
  budget: trainingBudgetSchema,
  parentVersion: z.int().optional(),
  reason: z.enum(['manual', 'schedule', 'drift', 'erasure', 'feedback']),
  experiment: z.string().optional(),
});
export type TrainingPlan = z.infer<typeof trainingPlanSchema>;

/** Thresholds and durations of a run, as its workflow gets them. */
export interface TrainingLimits {
  /** Silence after which an attempt counts as lost. */
  heartbeatTimeoutMs: number;
  /** Longest wait for a training slot, for each attempt. */
  admissionTimeoutMs: number;
  /** What a trainer gets to write its last checkpoint. */
  stopGraceMs: number;
  /** Longest evaluation of the holdout, and longest packaging. */
  stageTimeoutMs: number;
  /** Attempts of each stage before an infrastructure failure is final. */
  maxAttempts: number;
  /** Pause before the second attempt; it doubles, at most 60 s. */
  retryIntervalMs: number;
  /** Held-out rows that parity is measured on, at most (all there are if fewer); at least 1,000. */
  parityRows: number;
  /** Golden rows recorded with the version; at least 5. */
  goldenRows: number;
}
export const defaultTrainingLimits: TrainingLimits = {
  heartbeatTimeoutMs: MINUTE_MS,
  admissionTimeoutMs: DAY_MS,
  stopGraceMs: MINUTE_MS / 2,
  stageTimeoutMs: HOUR_MS,
  maxAttempts: 10,
  retryIntervalMs: 1_000,
  parityRows: 20_000,
  goldenRows: 8,
};

/** Input of `trainModel`: ids and limits; everything else is read from the run's row. */
export interface TrainModelInput {
  tenant: string;
  runId: string;
  model: string;
  trainerKind: string;
  maxWallClockMs: number;
  limits: TrainingLimits;
}

/** How a run ended, as its workflow returns it. */
export interface TrainModelResult {
  runId: string;
  state: FinalTrainingState;
  version?: number | undefined;
  artifactDigest?: string | undefined;
}

/** Id of the workflow of a run. */
export const trainingWorkflowId = (tenant: string, runId: string): string =>
  `training/${tenant}/${runId}`;

/** Tenant and run of a workflow id; undefined where it is no training run's. */
export function parseTrainingWorkflowId(
  workflowId: string,
): { tenant: string; runId: string } | undefined {
  const [kind, tenant, runId, ...rest] = workflowId.split('/');
  if (kind !== 'training' || tenant === undefined || runId === undefined || rest.length > 0)
    return undefined;
  return trainingRunIdSchema.safeParse(runId).success ? { tenant, runId } : undefined;
}

/** Parity of the exported model with the trained one, as recorded. */
const parityViewSchema = z.object({
  rows: z.int(),
  maxAbsDifference: z.number(),
  labelMismatches: z.int(),
});

/** Versions of everything that could change the numbers of a run. */
const environmentLockSchema = z.object({
  node: z.string(),
  platform: z.string(),
  onnxruntime: z.string(),
  packages: z.record(z.string(), z.string()),
});
export type EnvironmentLock = z.infer<typeof environmentLockSchema>;

/** What a run has measured and made; filled in stage by stage. */
export const trainingResultSchema = z.object({
  steps: z.int().optional(),
  converged: z.boolean().optional(),
  rows: z.object({ training: z.int(), holdout: z.int() }).optional(),
  /** `holdout_accuracy`, `holdout_auc`, `holdout_log_loss`. */
  metrics: z.record(z.string(), z.number()).optional(),
  parity: parityViewSchema.optional(),
  artifact: z.object({ ref: z.string(), sha256: digestSchema, sizeBytes: z.int() }).optional(),
  checkpoint: z.object({ step: z.int(), ref: z.string(), sha256: z.string() }).optional(),
  environment: environmentLockSchema.optional(),
  usage: z.object({ wallClockMs: z.int(), gpuMs: z.int() }).optional(),
});
export type TrainingResult = z.infer<typeof trainingResultSchema>;

export const runFailureSchema = z.object({
  code: z.string(),
  message: z.string(),
  errors: z
    .array(z.object({ pointer: z.string(), code: z.string(), detail: z.string().optional() }))
    .optional(),
});
export type RunFailure = z.infer<typeof runFailureSchema>;

/** A run as it is read. */
export const trainingRunViewSchema = z
  .object({
    id: z.string(),
    model: z.string(),
    state: z.enum(trainingStates),
    workflowId: z.string(),
    plan: trainingPlanSchema,
    version: z.int().optional(),
    artifactDigest: digestSchema.optional(),
    /** While it trains: the newest step whose metrics are recorded, and how many there are at most. */
    progress: z.object({ step: z.int(), maxSteps: z.int() }).optional(),
    result: trainingResultSchema.optional(),
    failure: runFailureSchema.optional(),
    cancel: z.object({ by: z.string(), reason: z.string(), at: z.iso.datetime() }).optional(),
    requestedBy: z.string(),
    createdAt: z.iso.datetime(),
    startedAt: z.iso.datetime().optional(),
    endedAt: z.iso.datetime().optional(),
  })
  .meta({ id: 'TrainingRun' });
export type TrainingRunView = z.infer<typeof trainingRunViewSchema>;

export const trainingMetricSchema = z.object({
  name: z.string(),
  step: z.int(),
  value: z.number(),
  at: z.iso.datetime(),
});
export type TrainingMetricView = z.infer<typeof trainingMetricSchema>;

export const trainingLogSchema = z.object({
  seq: z.int(),
  line: z.string(),
  at: z.iso.datetime(),
});
export type TrainingLogView = z.infer<typeof trainingLogSchema>;

export const cancelTrainingSchema = z.strictObject({
  reason: z.string().min(1).max(1000).default('cancelled by request'),
});
