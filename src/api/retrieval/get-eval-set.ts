import { z } from 'zod';
import { evalSetIdSchema } from '../../domain/ids.js';
import {
  evalSetDetailSchema,
  type EvalSetDetail,
} from '../../domain/retrieval/evaluation-contract.js';
import { route } from '../route.js';

export interface GetEvalSetDeps {
  /** @throws NOT_FOUND */
  findEvalSet: (tenant: string, evalSetId: string) => Promise<EvalSetDetail>;
}

/** `GET /v1/retrieval/eval-sets/{id}`: what a set holds, by number; the texts of queries are not given out. */
export const getEvalSet = (deps: GetEvalSetDeps) =>
  route({
    method: 'get',
    path: '/v1/retrieval/eval-sets/{id}',
    operation: 'eval-sets.get',
    summary: 'Read what a set of judged queries holds',
    permission: 'etl:admin',
    params: z.strictObject({ id: evalSetIdSchema }),
    response: { status: 200, schema: evalSetDetailSchema, description: 'The set.' },
    problems: [],
    example: { params: { id: 'evs_01KAJ4Y4G0000000000000000' } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await deps.findEvalSet(principal.tenant, params.id),
    }),
  });
