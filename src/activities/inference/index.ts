import { createInferStep, type InferStepDeps } from './infer-step.js';
import { createInferShadowStep, type ShadowStepDeps } from './shadow-step.js';

export { priorityOf } from './admit.js';
export { createInferencePipeline } from './pipeline.js';
export { defaultInferenceLimits } from './default-inference-limits.js';
export { createPrepareVersion } from './prepare-version.js';
export { createSettlementLoop } from './settlement-loop.js';
export { createVersionCache } from './version-cache.js';

/** What the activities of `inference` ask for. */
export type InferenceDeps = InferStepDeps & ShadowStepDeps;

/** Activities of `inference`: one step of a run, and one shadow call. */
export const createInferenceActivities = (deps: InferenceDeps) => ({
  inferStep: createInferStep(deps),
  inferShadowStep: createInferShadowStep(deps),
});
