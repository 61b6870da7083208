import type { Route } from '../route.js';
import { getInference } from './get-inference.js';
import { getInferences } from './get-inferences.js';
import type { InferenceRouteDeps } from './inference-route-deps.js';
import { postInferences } from './post-inferences.js';

export type { InferenceRouteDeps } from './inference-route-deps.js';

/** The endpoints of `inference`. */
export const inferenceRoutes = (deps: InferenceRouteDeps): Route[] => [
  postInferences(deps),
  getInferences(deps),
  getInference(deps),
];
