import { z } from 'zod';
import { decisionSchema } from '../../domain/decisions/contract.js';
import { PlatformError } from '../../domain/errors.js';
import { inferenceIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import { decisionView, type DecisionsRouteDeps } from './decisions-route-deps.js';

/** `GET /v1/decisions/{id}`: the row of one inference, without content. */
export const getDecision = (deps: DecisionsRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/decisions/{id}',
    operation: 'decisions.get',
    summary: 'Read a decision',
    permission: 'decisions:read',
    params: z.strictObject({ id: inferenceIdSchema }),
    response: { status: 200, schema: decisionSchema, description: 'The decision row.' },
    problems: [],
    example: { params: { id: 'inf_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ principal, params }) => {
      const found = await deps.findDecision(principal.tenant, principal.env, params.id);
      if (found === undefined) {
        throw new PlatformError('NOT_FOUND', 'There is no settled decision of this id here.');
      }
      return { status: 200, body: decisionView(found) };
    },
  });
