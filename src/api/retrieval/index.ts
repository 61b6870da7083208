import type { Route } from '../route.js';
import { getEvalSet, type GetEvalSetDeps } from './get-eval-set.js';
import { getRetrievalEvaluation, type GetRetrievalEvaluationDeps } from './get-evaluation.js';
import { postCitationsVerify, type PostCitationsVerifyDeps } from './post-citations-verify.js';
import { postCollectionQuery, type PostCollectionQueryDeps } from './post-collection-query.js';
import { postEvalSets, type PostEvalSetsDeps } from './post-eval-sets.js';
import { postRetrievalEvaluations, type PostRetrievalEvaluationsDeps } from './post-evaluations.js';

/** What the endpoints of `retrieval` ask for. */
export type RetrievalRouteDeps = GetEvalSetDeps &
  GetRetrievalEvaluationDeps &
  PostCitationsVerifyDeps &
  PostCollectionQueryDeps &
  PostEvalSetsDeps &
  PostRetrievalEvaluationsDeps;

/** The endpoints of `retrieval`. */
export const retrievalRoutes = (deps: RetrievalRouteDeps): Route[] => [
  postCollectionQuery(deps),
  postCitationsVerify(deps),
  postEvalSets(deps),
  getEvalSet(deps),
  postRetrievalEvaluations(deps),
  getRetrievalEvaluation(deps),
];
