import type { Caller } from '../../domain/events/change.js';
import { workflowCaller } from '../run-of.js';
import { createMeasureRecall, type ProbeDeps } from './measure-recall.js';
import { createMeasureRetrieval, type MeasureRetrievalDeps } from './measure-retrieval.js';

/** What the activities of `retrieval` ask for. */
export interface RetrievalActivitiesDeps extends MeasureRetrievalDeps {
  /** PENDING or RUNNING → FAILED; one that is DONE keeps its report. Idempotent. */
  failRetrievalEvaluation: (
    caller: Caller,
    evaluationId: string,
    failure: { code: string; message: string },
  ) => Promise<void>;
}

/** Activities of `retrieval`: measure a generation, and end what could not be measured. */
export const createRetrievalActivities = (deps: RetrievalActivitiesDeps) => ({
  measureRetrieval: createMeasureRetrieval(deps),
  failRetrieval: (input: {
    tenant: string;
    evaluationId: string;
    failure: { code: string; message: string };
  }): Promise<void> =>
    deps.failRetrievalEvaluation(workflowCaller(input.tenant), input.evaluationId, input.failure),
});

/** Activities of the recall probe; on queue `etl`. */
export const createProbeActivities = (deps: ProbeDeps) => ({
  measureRecall: createMeasureRecall(deps),
});

export { createEvalSet } from './create-eval-set.js';
export { createRetrieval } from './create-retrieval.js';
export type { RetrievalDeps, RetrievalObserver } from './retrieval-deps.js';
