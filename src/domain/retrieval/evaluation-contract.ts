import { z } from 'zod';
import type { GenerationFacts } from '../etl/ledger.js';
import {
  collectionIdSchema,
  digestSchema,
  documentIdSchema,
  evalSetIdSchema,
  generationIdSchema,
  nameSchema,
} from '../ids.js';
import { verdictSchema, type Verdict } from '../verdict.js';
import { MAX_QUERY_CHARS } from './contract.js';

/** `fit` fits the weight of the legs, `report` judges; no query does both. */
const evalSplits = ['fit', 'report'] as const;
export type EvalSplit = (typeof evalSplits)[number];

/** Queries of the smallest set: what a weight can be fitted on. */
export const MIN_SET_QUERIES = 20;
const MAX_SET_QUERIES = 5_000;

const judgedQuerySchema = z.strictObject({
  id: z.string().min(1).max(128),
  text: z.string().min(1).max(MAX_QUERY_CHARS),
  split: z.enum(evalSplits).optional().meta({
    description: 'Unless named: `fit` where the first byte of SHA-256 of the id is even.',
  }),
  judgements: z
    .array(z.strictObject({ documentId: documentIdSchema, gain: z.int().min(0).max(100) }))
    .min(1)
    .max(1_000)
    .refine((all) => new Set(all.map(({ documentId }) => documentId)).size === all.length, {
      error: 'every document is judged once',
    }),
});

/** Body of `POST /v1/retrieval/eval-sets`: an immutable set of judged queries. */
export const createEvalSetSchema = z.strictObject({
  collectionId: collectionIdSchema,
  name: nameSchema,
  queries: z
    .array(judgedQuerySchema)
    .min(1)
    .max(MAX_SET_QUERIES)
    .refine((all) => new Set(all.map(({ id }) => id)).size === all.length, {
      error: 'ids of queries are unique',
    }),
});
export type CreateEvalSet = z.infer<typeof createEvalSetSchema>;

export const evalSetViewSchema = z
  .object({
    id: evalSetIdSchema,
    collectionId: collectionIdSchema,
    name: z.string(),
    digest: digestSchema,
    queryCount: z.int(),
  })
  .meta({ id: 'RetrievalEvalSet' });
export type EvalSetView = z.infer<typeof evalSetViewSchema>;

/** A set as it is read back: what it holds by number, never a query's text. */
export const evalSetDetailSchema = evalSetViewSchema
  .extend({
    /** Queries by split. */
    splits: z.object({ fit: z.int(), report: z.int() }),
    judgementCount: z.int(),
    createdBy: z.string(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'RetrievalEvalSetDetail' });
export type EvalSetDetail = z.infer<typeof evalSetDetailSchema>;

/** A query as it is stored: scrubbed, its text sealed. */
interface SealedQuery {
  queryId: string;
  split: EvalSplit;
  textEnc: Uint8Array;
  judgements: { docId: string; gain: number }[];
}

/** A set as it is stored. */
export interface NewEvalSet {
  evalSetId: string;
  collectionId: string;
  name: string;
  digest: string;
  queries: SealedQuery[];
}

const baselineSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('lexical') }),
  z.strictObject({ kind: z.literal('generation'), generationId: generationIdSchema }),
]);
export type Baseline = z.infer<typeof baselineSchema>;

/** Body of `POST /v1/retrieval/evaluations`. */
export const startRetrievalEvaluationSchema = z.strictObject({
  evalSetId: evalSetIdSchema,
  generationId: generationIdSchema.optional().meta({ description: 'The live one by default.' }),
  baseline: baselineSchema.default({ kind: 'lexical' }).meta({
    description: 'Another generation, or the lexical leg of the same one.',
  }),
  purpose: z.string().min(1).max(100),
  epsilon: z.number().min(0).max(0.5).default(0.01),
  seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
});
export type StartRetrievalEvaluation = z.infer<typeof startRetrievalEvaluationSchema>;

/** What a run depends on besides set and generations. The requester reads: nothing else is measured. */
export const evaluationPlanSchema = z.object({
  purpose: z.string(),
  epsilon: z.number(),
  seed: z.int(),
  subject: z.string(),
  groups: z.array(z.string()),
});
export type EvaluationPlan = z.infer<typeof evaluationPlanSchema>;

/** PENDING → RUNNING → DONE | FAILED. */
const retrievalEvaluationStates = ['PENDING', 'RUNNING', 'DONE', 'FAILED'] as const;
export type RetrievalEvaluationState = (typeof retrievalEvaluationStates)[number];

export const isRetrievalEvaluationFinal = (state: string): boolean =>
  state === 'DONE' || state === 'FAILED';

export const retrievalEvaluationViewSchema = z
  .object({
    id: z.string(),
    collectionId: z.string(),
    evalSetId: z.string(),
    generationId: z.string(),
    baseline: z.looseObject({ kind: z.string() }),
    epsilon: z.number(),
    seed: z.int(),
    state: z.enum(retrievalEvaluationStates),
    verdict: verdictSchema.nullable(),
    result: z.looseObject({}).nullable(),
    failure: z.object({ code: z.string(), message: z.string() }).nullable(),
    requestedBy: z.string(),
    createdAt: z.iso.datetime(),
    endedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'RetrievalEvaluation' });
export type RetrievalEvaluationView = z.infer<typeof retrievalEvaluationViewSchema>;

/** Input of workflow `evaluateRetrieval`. Durations are milliseconds. */
export interface EvaluateRetrievalInput {
  tenant: string;
  evaluationId: string;
  timeoutMs: number;
  heartbeatMs: number;
}

export interface EvaluateRetrievalOutput {
  state: RetrievalEvaluationState;
  verdict: Verdict;
}

export const retrievalEvaluationWorkflowId = (tenant: string, evaluationId: string): string =>
  `retrieval/${tenant}/${evaluationId}`;

/** Everything that measuring needs, read in one transaction; query texts are opened. */
export interface RetrievalEvaluationFacts {
  collectionId: string;
  plan: EvaluationPlan;
  candidate: GenerationFacts;
  /** Undefined: the lexical leg of the candidate. */
  baseline: GenerationFacts | undefined;
  queries: {
    queryId: string;
    split: EvalSplit;
    text: string;
    judgements: { docId: string; gain: number }[];
  }[];
}
