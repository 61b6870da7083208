import type { StartRequest } from '../../domain/events/contract.js';
import type { Caller, StartedFacts } from '../../domain/events/change.js';
import type { Env } from '../../domain/ids.js';
import type {
  InferenceRequest,
  InferenceResult,
  InferenceState,
} from '../../domain/inference/contract.js';
import type { StoredInference } from '../../domain/inference/run.js';
import type { Links } from '../started.js';

/** What the endpoints of `inference` ask for. */
export interface InferenceRouteDeps {
  /** The pipeline's first part: everything up to the admission commit. Refusals are thrown. */
  admit: (
    request: InferenceRequest,
    context: { caller: Caller; env: Env; waiting: boolean },
  ) => Promise<{ started: StartedFacts; replayed: boolean; starts: StartRequest[] }>;
  /** The settled inference, or undefined where the wait is over first. */
  waitFor: (
    of: { tenant: string; inferenceId: string; known: boolean },
    limit: { waitMs: number; signal: AbortSignal },
  ) => Promise<StoredInference | undefined>;
  /** Those of the ids that exist, in no order. */
  readInferences: (tenant: string, inferenceIds: string[]) => Promise<StoredInference[]>;
  /** One more than `limit` where there is more. */
  listInferences: (
    tenant: string,
    filter: {
      principalId: string;
      env: string;
      status?: InferenceState | undefined;
      model?: string | undefined;
    },
    page: { limit: number; after: string | undefined },
  ) => Promise<StoredInference[]>;
  /** The output of a settled inference, opened. */
  openOutput: (of: {
    tenant: string;
    inferenceId: string;
    outputs: Uint8Array | null;
  }) => Promise<InferenceResult['output']>;
  links: Links;
}
