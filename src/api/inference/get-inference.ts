import { z } from 'zod';
import { PlatformError } from '../../domain/errors.js';
import { inferenceIdSchema } from '../../domain/ids.js';
import { inferenceResultSchema } from '../../domain/inference/contract.js';
import { route } from '../route.js';
import type { InferenceRouteDeps } from './inference-route-deps.js';
import { inferenceView } from './inference-view.js';

/** `GET /v1/inferences/{id}`: status and result, for the caller who asked. */
export const getInference = (deps: InferenceRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/inferences/{id}',
    operation: 'inferences.get',
    summary: 'Read an inference of your own',
    permission: 'inference:invoke',
    params: z.strictObject({ id: inferenceIdSchema }),
    response: { status: 200, schema: inferenceResultSchema, description: 'The inference.' },
    problems: [],
    example: { params: { id: 'inf_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ principal, params }) => {
      const { tenant, subject, env } = principal;
      const [stored] = await deps.readInferences(tenant, [params.id]);
      if (stored?.principalId !== subject || stored.env !== env) {
        throw new PlatformError('NOT_FOUND', 'There is no inference of this id here.');
      }
      return { status: 200, body: await inferenceView(deps, tenant, stored) };
    },
  });
