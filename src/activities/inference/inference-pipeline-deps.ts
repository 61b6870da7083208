import type { IdKind } from '../../domain/ids.js';
import type {
  AdmissionItem,
  AdmissionVerdict,
  InferenceRun,
  Settlement,
  SettlementItem,
  ShadowPairRow,
  ShadowRun,
  StoredAttempt,
} from '../../domain/inference/run.js';
import type { ModelRuntime } from '../../domain/inference/runtime.js';
import type { RoutingDocument } from '../../domain/release/routing.js';
import type { InferenceLimits } from './default-inference-limits.js';
import type { LoadedVersion } from './version-cache.js';

/** What the inference functions of the store do; each is one round trip, batched per tenant where it says so. */
interface InferenceStorePort {
  /** Batched. Writes everything of one admission, or says why it writes nothing. */
  admit: (tenant: string, item: AdmissionItem) => Promise<AdmissionVerdict>;
  /** The stored answer of a key: what a refused request falls back to before it is refused. */
  findStored: (
    tenant: string,
    key: Pick<AdmissionItem, 'principalId' | 'route' | 'keyHash' | 'bodyHash'>,
  ) => Promise<AdmissionVerdict | undefined>;
  /** The admitted row; undefined where there is none. */
  load: (tenant: string, inferenceId: string) => Promise<InferenceRun | undefined>;
  /** Keeps attempts before a longer wait. */
  park: (tenant: string, inferenceId: string, attempts: StoredAttempt[]) => Promise<void>;
  /** Batched. A second settlement writes nothing and answers with the first. */
  settle: (tenant: string, item: SettlementItem) => Promise<Settlement>;
  loadShadow: (
    tenant: string,
    workflowId: string,
    decisionId: string,
  ) => Promise<ShadowRun | undefined>;
  /** Writes a pair once; false where it was there. */
  recordPair: (tenant: string, workflowId: string, pair: ShadowPairRow) => Promise<boolean>;
}

/** A model in one environment of one tenant. */
interface ModelTarget {
  tenant: string;
  env: string;
  kind: 'model';
  name: string;
}

/** Where a sealed value belongs. */
interface SealedField {
  tenant: string;
  table: string;
  column: string;
  rowId: string;
}

/** What the pipeline asks for; the API and the worker build it from the same parts. */
export interface InferencePipelineDeps {
  store: InferenceStorePort;
  routing: {
    /** From the process's own copy; undefined where the target has no routing. */
    resolve: (target: ModelTarget) => Promise<RoutingDocument | undefined>;
    /** Past the copy, from the store: after an admission found the copy stale. */
    refresh: (target: ModelTarget) => Promise<RoutingDocument | undefined>;
  };
  version: (tenant: string, model: string, version: number) => Promise<LoadedVersion | undefined>;
  subjectToken: (tenant: string, key: string) => Promise<string>;
  encrypt: (owner: SealedField, plain: string) => Promise<Uint8Array>;
  decrypt: (owner: SealedField, sealed: Uint8Array) => Promise<Uint8Array>;
  /** Absent where no model can run here, as in the API: every attempt then fails as `binding`. */
  runtime?: ModelRuntime | undefined;
  newId: (kind: IdKind) => string;
  limits: InferenceLimits;
  /** The trace that the running step is part of; undefined where none is kept. */
  traceId?: (() => string | undefined) | undefined;
  observe: {
    countDecision: (state: string) => void;
    countAttempt: (outcome: string) => void;
  };
}
