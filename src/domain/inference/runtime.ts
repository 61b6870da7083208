import type { Digest } from '../ids.js';
import type { ErrorCode } from '../errors.js';
import type { RawRow } from '../training/training-table.js';

/**
 * Why an attempt failed; retry, fallback and circuit are decided from the class alone. `caller`: the input itself.
 * `binding`: this candidate cannot answer at all (unknown or corrupt model, no runtime). `overload`: a full queue.
 * `server`: the runtime broke. `timeout`: it did not answer in time. `worker_lost`: the process that asked is gone.
 * `killed`, `policy`, `budget`, `deadline`: refused by ourselves.
 */
export const failureClasses = [
  'caller',
  'binding',
  'credential',
  'rate',
  'overload',
  'server',
  'network',
  'timeout',
  'truncated',
  'invalid_output',
  'content_policy',
  'context_length',
  'worker_lost',
  'killed',
  'policy',
  'budget',
  'deadline',
] as const;
export type FailureClass = (typeof failureClasses)[number];

/** Tokens of a language-model call; a predictive model uses none. */
export interface TokenUsage {
  inputTokens: number;
  outputTokens: number;
}

/** What is known of a failed attempt beside its class. */
export interface FailureFacts {
  /** The platform's own code, where the failure has one (`ARTIFACT_CORRUPT`, `RUNTIME_UNAVAILABLE`, …). */
  code?: ErrorCode | undefined;
  httpStatus?: number | undefined;
  retryAfterMs?: number | undefined;
  usage?: TokenUsage | undefined;
  bytesSent?: number | undefined;
  bytesReceived?: number | undefined;
}

/** A failed attempt at a candidate. The message is for operators and never reaches an error body. */
export class ProviderFailure extends Error {
  readonly class: FailureClass;
  readonly code: ErrorCode | undefined;
  readonly httpStatus: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly usage: TokenUsage | undefined;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  constructor(failureClass: FailureClass, message: string, facts: FailureFacts = {}) {
    super(message);
    this.name = 'ProviderFailure';
    this.class = failureClass;
    this.code = facts.code;
    this.httpStatus = facts.httpStatus;
    this.retryAfterMs = facts.retryAfterMs;
    this.usage = facts.usage;
    this.bytesSent = facts.bytesSent ?? 0;
    this.bytesReceived = facts.bytesReceived ?? 0;
  }
}

/** An input with the P(positive class) that was recorded for it at registration. */
export interface GoldenProbe {
  inputs: RawRow;
  probability: number;
}

/** Largest |Δp| between a golden probe and its recorded answer. */
export const GOLDEN_TOLERANCE = 1e-5;

/** A model version as a runtime sees it: the artifact and the probes that prove it loaded well. */
export interface RuntimeVersion {
  digest: Digest;
  golden: readonly GoldenProbe[];
}

/** What a runtime can do for a version; `unavailable` says why it can do nothing here. */
export interface Capabilities {
  predict: boolean;
  chat: boolean;
  embed: boolean;
  stream: boolean;
  /** Runs in this installation, without a call to the outside. */
  local: boolean;
  unavailable?: string | undefined;
}

/** A version that is loaded and has answered its golden probes. */
export interface Ready {
  digest: Digest;
  sizeBytes: number;
  /** Raw fields the model reads. */
  fields: readonly string[];
  classes: readonly [negative: string, positive: string];
  loadMs: number;
}

export interface PredictCall {
  version: RuntimeVersion;
  rows: readonly RawRow[];
  /** Limit of the attempt, queue included; at it the process that runs the call is killed. */
  timeoutMs: number;
}

export interface PredictResult {
  /** P(positive class) of each row, in order; float32 numbers. */
  probabilities: number[];
  /** Class of each row: positive where p ≥ 0.5. */
  labels: string[];
  classes: readonly [negative: string, positive: string];
  /** Time in the runtime, queue excluded. */
  runMs: number;
}

/** State of one process of a runtime. */
export interface SlotHealth {
  state: 'starting' | 'idle' | 'busy' | 'backing_off' | 'closed';
  pid?: number | undefined;
  /** Times it was started again after it died or was killed. */
  restarts: number;
}

export interface Health {
  status: 'ok' | 'degraded' | 'unavailable';
  reason?: string | undefined;
  slots: SlotHealth[];
  queueDepth: number;
  resident: { digest: Digest; sizeBytes: number; pinned: boolean }[];
}

/** Runs model versions. Failures are {@link ProviderFailure}; an aborted signal rejects with its reason. */
export interface ModelRuntime {
  capabilities(version: RuntimeVersion): Capabilities;
  /** Loads a version, checks its digest, asks its golden probes. Idempotent; concurrent calls load once. */
  prepare(version: RuntimeVersion, signal: AbortSignal): Promise<Ready>;
  /** Scores rows, in order. */
  predict(call: PredictCall, signal: AbortSignal): Promise<PredictResult>;
  health(signal: AbortSignal): Promise<Health>;
  /** Forgets a version; a later prepare loads it again. */
  dispose(version: RuntimeVersion): Promise<void>;
}

/** A positive class at and above this probability; the same for every runtime, decided in our code. */
export const LABEL_THRESHOLD = 0.5;

/** Class of a probability. */
export const labelOf = (
  probability: number,
  [negative, positive]: readonly [negative: string, positive: string],
): string => (probability >= LABEL_THRESHOLD ? positive : negative);
