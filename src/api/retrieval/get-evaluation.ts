import { z } from 'zod';
import { retrievalEvaluationIdSchema } from '../../domain/ids.js';
import {
  retrievalEvaluationViewSchema,
  type RetrievalEvaluationView,
} from '../../domain/retrieval/evaluation-contract.js';
import { route } from '../route.js';

export interface GetRetrievalEvaluationDeps {
  findRetrievalEvaluation: (
    tenant: string,
    evaluationId: string,
  ) => Promise<RetrievalEvaluationView>;
}

/** `GET /v1/retrieval/evaluations/{id}`: state, verdict, and the figures once there are any. */
export const getRetrievalEvaluation = (deps: GetRetrievalEvaluationDeps) =>
  route({
    method: 'get',
    path: '/v1/retrieval/evaluations/{id}',
    operation: 'retrieval-evaluations.get',
    summary: 'Read a retrieval evaluation',
    permission: 'etl:admin',
    params: z.strictObject({ id: retrievalEvaluationIdSchema }),
    response: {
      status: 200,
      schema: retrievalEvaluationViewSchema,
      description: 'The evaluation.',
    },
    problems: [],
    example: { params: { id: 'evr_01KAJ4Y4G0000000000000000' } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await deps.findRetrievalEvaluation(principal.tenant, params.id),
    }),
  });
