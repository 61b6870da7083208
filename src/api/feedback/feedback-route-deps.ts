import type { ModelContract } from '../../domain/datasets/model-contract.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import type { FeedbackRequest, FeedbackView } from '../../domain/feedback/contract.js';

/** What the endpoints of `feedback` ask for. */
export interface FeedbackRouteDeps {
  recordFeedback: (
    caller: Caller,
    request: FeedbackRequest & { env: string },
    problemOf: (model: string, version: number) => Promise<string | undefined>,
  ) => Promise<Outcome<FeedbackView>>;
  listFeedback: (
    tenant: string,
    env: string,
    decisionId: string,
  ) => Promise<FeedbackView[] | undefined>;
  /** The contract of a version; undefined where the version is not there. */
  findContract: (
    tenant: string,
    model: string,
    version: number,
  ) => Promise<ModelContract | undefined>;
  subjectToken: (tenant: string, key: string) => Promise<string>;
}
