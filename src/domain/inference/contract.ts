import { z } from 'zod';
import { nameSchema } from '../ids.js';

/** The states of an inference; the last seven are final. */
export const inferenceStates = [
  'ACCEPTED',
  'RUNNING',
  'WAITING',
  'SUCCEEDED',
  'BLOCKED',
  'TRUNCATED',
  'FAILED',
  'CANCELLED',
  'EXPIRED',
  'LOST',
] as const;
export type InferenceState = (typeof inferenceStates)[number];

/** True once nothing of an inference changes any more. */
export const isFinalInference = (state: InferenceState): boolean =>
  state !== 'ACCEPTED' && state !== 'RUNNING' && state !== 'WAITING';

/** Which model a caller means: the production pointer, or one version that serves beside it. */
export interface ModelReference {
  name: string;
  /** Absent: whatever the routing assigns. */
  version?: number;
}

const REFERENCE = /^([a-z0-9][a-z0-9-]{0,62})(?:@(?:production|v([1-9]\d{0,8})))?$/;

/** Reads `credit`, `credit@production` or `credit@v12`; undefined for anything else. */
export function parseModelReference(text: string): ModelReference | undefined {
  const match = REFERENCE.exec(text);
  const name = match?.[1];
  if (!match || name === undefined) return undefined;
  return match[2] === undefined ? { name } : { name, version: Number(match[2]) };
}

/** A field that the full contract has and this build does not serve: refused by its pointer, never ignored. */
const notYet = (what: string) =>
  z
    .unknown()
    .optional()
    .refine((value) => value === undefined, { error: `${what} is not supported yet` })
    .meta({ description: 'Not supported yet: a request that sends it is refused.' });

/** A field of which one value is served so far. */
const onlyYet = <T extends string>(value: T, others: readonly string[]) =>
  z
    .string()
    .optional()
    .refine((given) => given === undefined || given === value, {
      error: `only ${value} is supported yet`,
    })
    .meta({ description: `\`${value}\`; ${others.join(', ')}: not supported yet.` });

const MAX_DEADLINE_MS = 86_400_000;

/** `POST /v1/inferences`: the whole contract of gateway.md §2; what is not served yet is refused by its pointer. */
export const inferenceRequestSchema = z.strictObject({
  model: z
    .string()
    .refine((text) => parseModelReference(text) !== undefined, {
      error: 'must be name, name@production or name@v12; other aliases and routes come later',
    })
    .meta({ description: '`name` (its production version), `name@production` or `name@v12`.' }),
  inputs: z
    .record(z.string(), z.unknown())
    .meta({ description: 'One value per input field of the model contract.' }),
  purpose: z.string().min(1).max(100).optional().meta({
    description: 'What the answer is used for; it must be the purpose of the model.',
  }),
  subject: z
    .strictObject({
      key: z.string().min(1).max(500).meta({
        description: 'How you know the person; it becomes a pseudonymous token on arrival.',
      }),
      jurisdiction: notYet('jurisdiction'),
      segment: notYet('segment'),
    })
    .optional(),
  deadlineMs: z.int().min(100).max(MAX_DEADLINE_MS).optional().meta({
    description: 'When to give up, from admission; 1 hour unless named.',
  }),
  priority: z.enum(['interactive', 'durable', 'batch']).optional(),
  lane: onlyYet('durable', ['interactive']),
  explain: onlyYet('none', ['top_k']),
  cache: onlyYet('off', ['read', 'write', 'refresh']),
  messages: notYet('messages'),
  input: notYet('input'),
  prompt: notYet('prompt'),
  consentRef: notYet('consentRef'),
  datasetVersion: notYet('datasetVersion'),
  maxCostMicroUsd: notYet('maxCostMicroUsd'),
  callback: notYet('callback'),
  metadata: notYet('metadata'),
});
export type InferenceRequest = z.infer<typeof inferenceRequestSchema>;

/** Headers that may narrow what a credential carries; none of them is served yet, none is ignored. */
export const contextHeaders = [
  'anneal-purpose',
  'anneal-subject',
  'anneal-consent',
  'anneal-jurisdiction',
  'anneal-segment',
  'anneal-conversation',
  'anneal-priority',
  'anneal-cache',
  'anneal-on-truncate',
  'anneal-max-cost-microusd',
] as const;

const attemptSchema = z.object({
  n: z.int(),
  candidate: z.string(),
  class: z.string(),
  at: z.iso.datetime(),
  totalMs: z.number(),
});

/** What one inference answered: the 200 of `POST /v1/inferences` and of `GET /v1/inferences/{id}`. */
export const inferenceResultSchema = z
  .object({
    id: z.string(),
    decisionId: z.string(),
    workflowId: z.string(),
    status: z.enum(inferenceStates),
    code: z.string().optional().meta({ description: 'Why it failed, where it did.' }),
    output: z.record(z.string(), z.unknown()).optional(),
    confidence: z.number().optional(),
    model: z.object({ name: z.string(), version: z.int(), digest: z.string().optional() }),
    arm: z.string(),
    contractVersion: z.string().optional(),
    attempts: z.array(attemptSchema),
    fallback: z
      .object({ used: z.boolean(), kind: z.string(), reason: z.string() })
      .optional()
      .meta({ description: 'Present where another version than the assigned one answered.' }),
    warnings: z.array(z.object({ pointer: z.string(), code: z.string() }).loose()),
    latencyMs: z.number().optional().meta({ description: 'From admission to settlement.' }),
    createdAt: z.iso.datetime(),
    settledAt: z.iso.datetime().optional(),
    links: z.object({ self: z.string(), temporalUi: z.string(), decision: z.string() }),
  })
  .meta({ id: 'Inference' });
export type InferenceResult = z.infer<typeof inferenceResultSchema>;

/** Query of `GET /v1/inferences`, besides the page. */
export const inferenceFilterShape = {
  status: z.enum(inferenceStates).optional(),
  model: nameSchema.optional(),
};

/** Input of the workflow `infer`: ids, limits and timeouts. Only ever gains optional fields. */
export interface InferInput {
  tenant: string;
  inferenceId: string;
  /** True where every candidate runs in the worker and an attempt fits into half a workflow task: a local activity. */
  local: boolean;
  /** Start-to-close of one step: the attempt's timeout and ten seconds. */
  stepTimeoutMs: number;
}

/** What one step left behind: an end, or a pause that the workflow sleeps. */
export type InferStepResult =
  { kind: 'settled'; status: InferenceState; code?: string } | { kind: 'wait'; waitMs: number };

/** Output of the workflow `infer`. */
export interface InferOutput {
  decisionId: string;
  status: InferenceState;
}

/** Input of the workflow `inferShadow`. */
export interface InferShadowInput {
  tenant: string;
  decisionId: string;
  shadowId: string;
  /** The candidate. */
  version: number;
  /** Limit of the candidate's only attempt. */
  timeoutMs: number;
}

/** `infer/{tenant}/{40 hex of sha256(principal, route, key)}`: the second lock behind the idempotency row. */
export const inferWorkflowId = (tenant: string, hash40: string): string =>
  `infer/${tenant}/${hash40}`;

/** `shadow/{tenant}/{decision}/v{version}`: one run per decision and candidate. */
export const inferShadowWorkflowId = (input: InferShadowInput): string =>
  `shadow/${input.tenant}/${input.decisionId}/v${input.version}`;
