import { z } from 'zod';
import { nameSchema, type Env } from '../ids.js';
import { versionNumberSchema } from '../registry/contract.js';
import { inferenceStates, type InferenceState } from '../inference/contract.js';

/** One attempt as the decision row tells it. */
interface DecisionAttempt {
  n: number;
  /** `v<version>`. */
  candidate: string;
  /** Failure class, or `ok`. */
  class: string;
  at: string;
  totalMs: number;
}

/**
 * The row of one inference: append-only, written in the settlement's transaction. `rowHash` covers everything else, and
 * of content only digests, so that destroying a key keeps it valid. Members of steps that come later are null.
 */
export interface DecisionRow {
  tenantId: string;
  decisionId: string;
  env: Env;
  /** UTC, milliseconds. */
  at: string;
  lane: 'durable' | 'interactive';
  state: InferenceState;
  code: string | null;
  actor: string;
  subjectToken: string | null;
  purpose: string;
  consentRef: null;
  jurisdiction: null;
  dataClass: null;
  inputsDigest: string;
  inputsRef: string;
  outputsDigest: string | null;
  outputsRef: string | null;
  /** Probability of the answered class, 0.5 … 1. */
  confidence: number | null;
  model: string;
  /** The version that answered; where none did, the assigned one. */
  version: number;
  digest: string;
  upstreamModel: null;
  fingerprint: null;
  arm: string;
  routingEpoch: number;
  policyVersion: null;
  /** What the assignment can be recomputed from. */
  routing: { bucket?: number; nonSticky: boolean; assigned: number } | null;
  promptVersion: null;
  datasetVersion: string | null;
  contractVersion: string;
  attempts: DecisionAttempt[];
  fallback: { used: boolean; kind: string; reason: string } | null;
  cache: null;
  compression: null;
  guards: null;
  piiCounts: null;
  priceVersion: null;
  holdMicroUsd: null;
  costMicroUsd: null;
  budgetBefore: null;
  budgetAfter: null;
  flags: string[];
  explanationRef: null;
  warnings: unknown[];
  humanReview: null;
  workflowId: string | null;
  traceId: string | null;
  /** From admission to settlement. */
  latencyMs: number;
}

/** A decision as the API shows it: no content, digests only. */
export const decisionSchema = z
  .object({
    decisionId: z.string(),
    env: z.string(),
    at: z.iso.datetime(),
    lane: z.string(),
    state: z.enum(inferenceStates),
    code: z.string().nullable(),
    actor: z.string(),
    subjectToken: z.string().nullable(),
    purpose: z.string(),
    inputsDigest: z.string(),
    outputsDigest: z.string().nullable(),
    confidence: z.number().nullable(),
    model: z.string(),
    version: z.int(),
    digest: z.string(),
    arm: z.string(),
    routingEpoch: z.int(),
    routing: z
      .object({ bucket: z.int().optional(), nonSticky: z.boolean(), assigned: z.int() })
      .nullable(),
    datasetVersion: z.string().nullable(),
    contractVersion: z.string(),
    attempts: z.array(
      z.object({
        n: z.int(),
        candidate: z.string(),
        class: z.string(),
        at: z.string(),
        totalMs: z.number(),
      }),
    ),
    fallback: z.object({ used: z.boolean(), kind: z.string(), reason: z.string() }).nullable(),
    flags: z.array(z.string()),
    warnings: z.array(z.unknown()),
    workflowId: z.string().nullable(),
    latencyMs: z.number(),
    rowHash: z.string().meta({ description: 'sha256 over the row; sealed into the audit chain.' }),
  })
  .meta({ id: 'Decision' });
export type DecisionView = z.infer<typeof decisionSchema>;

/** Query of `GET /v1/decisions`, besides the page. Times are inclusive and exclusive. */
export const decisionFilterShape = {
  subjectToken: z
    .string()
    .regex(/^p\d{1,9}_[a-z2-7]{26}$/)
    .optional(),
  target: nameSchema.optional().meta({ description: 'The model.' }),
  version: versionNumberSchema.optional(),
  epoch: z.coerce.number().int().min(0).max(2_147_483_647).optional(),
  state: z.enum(inferenceStates).optional(),
  from: z.iso.datetime().optional(),
  to: z.iso.datetime().optional(),
};
export interface DecisionFilter {
  subjectToken?: string | undefined;
  target?: string | undefined;
  version?: number | undefined;
  epoch?: number | undefined;
  state?: InferenceState | undefined;
  from?: string | undefined;
  to?: string | undefined;
}

/** One link of the chain behind a decision. `verified` is absent where there is nothing to recompute. */
const link = <T extends z.ZodRawShape>(shape: T) => z.object(shape).nullable();

/** Where a decision comes from, link by link, each with the digest that binds it. */
export const provenanceSchema = z
  .object({
    decision: z.object({
      id: z.string(),
      at: z.iso.datetime(),
      state: z.enum(inferenceStates),
      arm: z.string(),
      bucket: z.int().nullable(),
      rowHash: z.string(),
      verified: z.boolean().meta({ description: 'The row still has the hash it was sealed with.' }),
      auditSeq: z.int().nullable().meta({ description: 'Entry that seals it; null until sealed.' }),
    }),
    routing: link({
      env: z.string(),
      epoch: z.int(),
      digest: z.string(),
      actor: z.string(),
      reason: z.string(),
      at: z.iso.datetime(),
      document: z.unknown(),
    }),
    release: link({
      id: z.string(),
      strategy: z.string(),
      state: z.string(),
      planDigest: z.string(),
      requestedBy: z.string(),
      reportDigest: z.string().nullable(),
    }),
    approval: link({
      id: z.string(),
      subjectDigest: z.string(),
      state: z.string(),
      requestedBy: z.string(),
      decisions: z.array(
        z.object({
          by: z.string(),
          decision: z.string(),
          at: z.iso.datetime(),
          keyId: z.string(),
          payloadDigest: z.string(),
          verified: z.boolean().meta({ description: 'The signature fits payload and key.' }),
        }),
      ),
      verified: z.boolean().meta({ description: 'The digest fits the subject as stored.' }),
    }),
    evaluation: link({
      id: z.string(),
      verdict: z.string().nullable(),
      reportDigest: z.string().nullable(),
      verified: z.boolean().meta({ description: 'The digest fits the report as stored.' }),
    }),
    version: link({
      model: z.string(),
      version: z.int(),
      artifactDigest: z.string(),
      assurance: z.string(),
      trainedBy: z.string(),
      verified: z.boolean().meta({ description: 'The decision names this artifact.' }),
    }),
    contract: link({
      digest: z.string(),
      verified: z.boolean().meta({ description: 'The decision names this contract.' }),
    }),
    run: link({
      id: z.string(),
      state: z.string(),
      trainer: z.string(),
      requestedBy: z.string(),
      artifactDigest: z.string().nullable(),
      verified: z.boolean().meta({ description: 'The run produced this artifact.' }),
    }),
    snapshot: link({
      id: z.string(),
      dataset: z.string(),
      state: z.string(),
      rows: z.int(),
      contractId: z.string(),
      consentAsOf: z.string().nullable(),
      sourceDigest: z.string().nullable(),
    }),
  })
  .meta({ id: 'Provenance' });
export type Provenance = z.infer<typeof provenanceSchema>;
