import { z } from 'zod';
import { divergenceIdSchema } from '../../domain/ids.js';
import { divergenceViewSchema, resolveDivergenceSchema } from '../../domain/reconcile/contract.js';
import { route } from '../route.js';
import type { ReconcileRouteDeps } from './reconcile-route-deps.js';

/** `POST /v1/divergences/{id}:resolve`: what a person decides about one that is open. */
export const postDivergenceResolve = (deps: ReconcileRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/divergences/{id}:resolve',
    operation: 'divergences.resolve',
    summary: 'Decide about an open divergence',
    permission: 'incidents:write',
    params: z.strictObject({ id: divergenceIdSchema }),
    body: resolveDivergenceSchema,
    response: { status: 200, schema: divergenceViewSchema, description: 'It afterwards.' },
    problems: ['NOT_FOUND', 'ILLEGAL_TRANSITION'],
    example: {
      params: { id: 'dvg_01KAJ4Y4G0000000000000000' },
      body: { resolution: 'ACCEPTED', reason: 'the caller was told and asked again' },
    },
    handle: ({ caller, params, body }) =>
      deps.resolveDivergence(caller, { divergenceId: params.id, ...body }),
  });
