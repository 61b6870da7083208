import type { ModelContract } from '../datasets/model-contract.js';
import type { DecisionRow } from '../decisions/contract.js';
import type { StartRequest } from '../events/contract.js';
import type { Env } from '../ids.js';
import type { KillInForce, ShadowCapture } from '../release/routing.js';
import type { InferenceState } from './contract.js';
import type { AttemptPlan, FallbackKind } from './next-step.js';
import type { FailureClass, GoldenProbe, RuntimeVersion } from './runtime.js';

/** A version as the registry has it: immutable but for assurance and purpose. */
export interface VersionFacts {
  model: string;
  version: number;
  assurance: string;
  artifactRef: string;
  artifactDigest: RuntimeVersion['digest'];
  contract: ModelContract;
  contractDigest: string;
  golden: GoldenProbe[];
  /** Snapshot the version was trained on. */
  snapshotId: string | null;
  /** Of the model. */
  purpose: string;
}

/** One candidate as the admitted row keeps it: enough to call it without asking the registry what it was. */
export interface PlannedCandidate {
  version: number;
  digest: string;
  contractDigest: string;
  accepts: FallbackKind[];
  /** `assigned` by the routing or named by the caller; `previous` is the version before it. */
  kind: 'assigned' | 'previous';
}

/** What an admission decided: stored with the row, so that the run needs no configuration. */
export interface InferencePlan extends Omit<AttemptPlan, 'deadlineMs' | 'candidates'> {
  candidates: PlannedCandidate[];
  attemptTimeoutMs: number;
  /** How long one step may go on before it hands a wait to the workflow. */
  stepBudgetMs: number;
  assignment: {
    /** 0 … 9999; absent where the caller named the version. */
    bucket?: number;
    nonSticky: boolean;
  };
  /** Why the first candidate is not the assigned version, where a kill says so. */
  diverted?: 'killed';
}

/** One request on its way into the store. */
export interface AdmissionItem {
  inferenceId: string;
  principalId: string;
  route: string;
  keyHash: Uint8Array;
  bodyHash: Uint8Array;
  env: Env;
  model: string;
  version: number;
  arm: string;
  routingEpoch: number;
  /** The kills that the resolution knew of. */
  kills: KillInForce[];
  purpose: string;
  subjectToken: string | null;
  plan: InferencePlan;
  warnings: unknown[];
  inputsDigest: string;
  /** Sealed by the field cipher. */
  inputs: Uint8Array;
  requestId: string;
  deadlineMs: number;
  start: StartRequest;
  startDigest: string;
  /** The answer that a repeat of the request gets. */
  response: { id: string; workflowId: string; status: string };
}

/** What the store says to one item. `stale`: the routing has moved since it was resolved. */
export type AdmissionVerdict =
  | { verdict: 'admitted' }
  | { verdict: 'replay'; response: AdmissionItem['response'] }
  | { verdict: 'mismatch' }
  | { verdict: 'stale' };

/** A finished attempt as its row keeps it. */
export interface StoredAttempt {
  n: number;
  version: number;
  class: FailureClass | 'ok';
  startedMs: number;
  totalMs: number;
}

/** An admitted inference as its run loads it: the row is the authority. Times are the database's. */
export interface InferenceRun {
  tenant: string;
  inferenceId: string;
  principalId: string;
  env: Env;
  model: string;
  version: number;
  arm: string;
  routingEpoch: number;
  state: InferenceState;
  code: string | null;
  settled: boolean;
  purpose: string;
  subjectToken: string | null;
  plan: InferencePlan;
  warnings: unknown[];
  inputsDigest: string;
  inputs: Uint8Array;
  requestId: string;
  workflowId: string;
  createdMs: number;
  deadlineMs: number;
  /** The database's clock at the load; the run adds its own elapsed time. */
  loadedMs: number;
  attempts: StoredAttempt[];
  kills: KillInForce[];
  shadow: ShadowCapture[];
  active: number | null;
}

/** A run's end on its way into the store. */
export interface SettlementItem {
  inferenceId: string;
  workflowId: string;
  state: InferenceState;
  code: string | null;
  /** Sealed output; null where there is none. */
  outputs: Uint8Array | null;
  attempts: StoredAttempt[];
  decision: DecisionRow;
  event: Record<string, unknown>;
  shadows: { start: StartRequest; inputDigest: string }[];
}

/** What stands after a settlement; `settled` is false where an earlier one stands. */
export interface Settlement {
  settled: boolean;
  state: InferenceState;
  code: string | null;
}

/** An inference as its caller may see it, output still sealed. */
export interface StoredInference {
  inferenceId: string;
  principalId: string;
  env: Env;
  workflowId: string;
  state: InferenceState;
  code: string | null;
  model: string;
  /** The assigned version. */
  version: number;
  /** The version that answered; null before settlement. */
  answeredBy: number | null;
  digest: string | null;
  arm: string;
  outputs: Uint8Array | null;
  warnings: { pointer: string; code: string }[];
  createdMs: number;
  settledMs: number | null;
  contractVersion: string | null;
  confidence: number | null;
  attempts: DecisionRow['attempts'];
  fallback: DecisionRow['fallback'];
  latencyMs: number | null;
}

/** What a shadow run reads before it asks its candidate. */
export interface ShadowRun {
  inputDigest: string;
  model: string;
  /** The version that answered the caller. */
  champion: number;
  inputs: Uint8Array;
  outputs: Uint8Array | null;
  championMs: number;
  /** False once the shadow has ended. */
  collecting: boolean;
  paired: boolean;
}

/** Champion and candidate on one decision. */
export interface ShadowPairRow {
  decisionId: string;
  version: number;
  shadowId: string;
  champion: ShadowSide;
  candidate: ShadowSide | null;
  error: string | null;
}

/** One side of a pair. */
export interface ShadowSide {
  version: number;
  label: string;
  probability: number;
  ms: number;
}
