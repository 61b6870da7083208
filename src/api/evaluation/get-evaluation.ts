import { z } from 'zod';
import { evaluationViewSchema, type EvaluationView } from '../../domain/evaluation/contract.js';
import { evaluationIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';

export interface GetEvaluationDeps {
  findEvaluation: (tenant: string, evaluationId: string) => Promise<EvaluationView>;
}

/** `GET /v1/evaluations/{id}`: state, verdict, and the report once there is one. */
export const getEvaluation = (deps: GetEvaluationDeps) =>
  route({
    method: 'get',
    path: '/v1/evaluations/{id}',
    operation: 'evaluations.get',
    summary: 'Read an evaluation and its report',
    permission: 'evaluation:read',
    params: z.strictObject({ id: evaluationIdSchema }),
    response: { status: 200, schema: evaluationViewSchema, description: 'The evaluation.' },
    problems: [],
    example: { params: { id: 'evl_01KAJ4Y4G0000000000000000' } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await deps.findEvaluation(principal.tenant, params.id),
    }),
  });
