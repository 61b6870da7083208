import { z } from 'zod';
import type { DatasetContract } from '../datasets/dataset-contract.js';
import type { ModelContract } from '../datasets/model-contract.js';
import { digestSchema, nameSchema } from '../ids.js';
import type { VersionLineage } from '../registry/contract.js';
import { verdictSchema } from '../verdict.js';
import { criteriaSchema, type EvaluationPolicy } from './criteria.js';

/** QUEUED → RUNNING → COMPLETED | FAILED | CANCELLED. */
const evaluationStates = ['QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'] as const;
export type EvaluationState = (typeof evaluationStates)[number];

/** True for a state that does not change any more. */
export const isEvaluationFinal = (state: string): boolean =>
  state !== 'QUEUED' && state !== 'RUNNING';

/** Body of `POST …/versions/{v}/evaluations`. */
export const startEvaluationSchema = z.strictObject({
  evaluationSnapshotId: digestSchema,
  policyRevision: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'Revision of the model’s policy; the newest one by default.' }),
  protectedAttributes: z.array(z.string().min(1).max(128)).max(10).optional(),
  intersections: z
    .array(z.array(z.string().min(1).max(128)).min(2).max(4))
    .max(10)
    .default([]),
  seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
});
export type StartEvaluation = z.infer<typeof startEvaluationSchema>;

/** Body of `POST /v1/evaluation-policies`: a new immutable revision. */
export const createPolicySchema = z.strictObject({ name: nameSchema, criteria: criteriaSchema });
export type CreatePolicy = z.infer<typeof createPolicySchema>;

export const policyViewSchema = z
  .object({
    name: z.string(),
    revision: z.int(),
    digest: digestSchema,
    criteria: z.array(z.looseObject({ id: z.string() })),
    createdBy: z.string(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'EvaluationPolicy' });
export type PolicyView = z.infer<typeof policyViewSchema>;

/** An evaluation as the API shows it; `report` is there once it is COMPLETED. */
export const evaluationViewSchema = z
  .object({
    id: z.string(),
    model: z.string(),
    version: z.int(),
    state: z.enum(evaluationStates),
    verdict: verdictSchema.nullable(),
    evaluationSnapshotId: digestSchema,
    policy: z.object({ name: z.string(), revision: z.int() }),
    seed: z.int(),
    reportDigest: digestSchema.nullable(),
    report: z.looseObject({}).nullable(),
    failure: z.object({ code: z.string(), message: z.string() }).nullable(),
    requestedBy: z.string(),
    createdAt: z.iso.datetime(),
    endedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Evaluation' });
export type EvaluationView = z.infer<typeof evaluationViewSchema>;

/** What was asked, as the row keeps it: everything that the report depends on, by id. */
export const evaluationInputSchema = z.object({
  evaluationSnapshotId: digestSchema,
  policy: z.object({ name: z.string(), revision: z.int() }),
  protectedAttributes: z.array(z.string()),
  intersections: z.array(z.array(z.string())),
  seed: z.int(),
  env: z.string(),
  champion: z.int().nullable(),
  previousChampion: z.int().nullable(),
});
export type EvaluationRow = z.infer<typeof evaluationInputSchema>;

/** Input of workflow `evaluateVersion`. Durations are milliseconds. */
export interface EvaluateVersionInput {
  tenant: string;
  evaluationId: string;
  model: string;
  version: number;
  timeoutMs: number;
  heartbeatMs: number;
}

export interface EvaluateVersionOutput {
  state: EvaluationState;
  verdict: string | null;
  reportDigest: string | null;
}

export const evaluationWorkflowId = (tenant: string, evaluationId: string): string =>
  `evaluation/${tenant}/${evaluationId}`;

/** A version to score: its artifact and what it reads and answers. */
export interface ScoredVersion {
  version: number;
  artifactDigest: string;
  artifactRef: string;
  contract: ModelContract;
  lineage: VersionLineage;
}

/** A snapshot whose rows are read. */
interface EvaluationSnapshot {
  snapshotId: string;
  contract: DatasetContract;
  parts: { ref: string; rows: number }[];
}

/** Everything that measuring needs, read in one transaction. */
export interface EvaluationFacts {
  model: string;
  asked: EvaluationRow;
  policy: EvaluationPolicy;
  candidate: ScoredVersion;
  champion: ScoredVersion | undefined;
  previousChampion: ScoredVersion | undefined;
  evaluationSnapshot: EvaluationSnapshot;
  trainingSnapshot: EvaluationSnapshot;
}
