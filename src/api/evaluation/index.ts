import type { Route } from '../route.js';
import { getEvaluation, type GetEvaluationDeps } from './get-evaluation.js';
import {
  getEvaluationPolicies,
  type GetEvaluationPoliciesDeps,
} from './get-evaluation-policies.js';
import {
  getVersionEvaluations,
  type GetVersionEvaluationsDeps,
} from './get-version-evaluations.js';
import {
  postEvaluationPolicies,
  type PostEvaluationPoliciesDeps,
} from './post-evaluation-policies.js';
import {
  postVersionEvaluations,
  type PostVersionEvaluationsDeps,
} from './post-version-evaluations.js';

/** What the endpoints of `evaluation` ask for. */
export type EvaluationRouteDeps = GetEvaluationDeps &
  GetEvaluationPoliciesDeps &
  GetVersionEvaluationsDeps &
  PostEvaluationPoliciesDeps &
  PostVersionEvaluationsDeps;

/** The endpoints of `evaluation`. */
export const evaluationRoutes = (deps: EvaluationRouteDeps): Route[] => [
  postVersionEvaluations(deps),
  getVersionEvaluations(deps),
  getEvaluation(deps),
  postEvaluationPolicies(deps),
  getEvaluationPolicies(deps),
];
