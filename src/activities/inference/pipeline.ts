import { createAdmit, createFindAdmitted } from './admit.js';
import { createAttempt } from './attempt.js';
import type { InferencePipelineDeps } from './inference-pipeline-deps.js';
import { createSettle } from './settle.js';

/**
 * The one way to a model (gateway.md §1): `admit` in the API, `attempt` and `settle` in the worker, all from the same
 * parts. Nothing else may call a model on a caller's behalf.
 */
export const createInferencePipeline = (deps: InferencePipelineDeps) => ({
  admit: createAdmit(deps),
  findAdmitted: createFindAdmitted(deps),
  attempt: createAttempt(deps),
  settle: createSettle(deps),
});
export type InferencePipeline = ReturnType<typeof createInferencePipeline>;
