import { z } from 'zod';
import { PlatformError } from '../../domain/errors.js';
import { nameSchema } from '../../domain/ids.js';
import { modelViewSchema } from '../../domain/registry/contract.js';
import { route } from '../route.js';
import type { RegistryRouteDeps } from './registry-route-deps.js';

/** `GET /v1/models/{model}`. */
export const getModel = (deps: RegistryRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/models/{model}',
    operation: 'models.get',
    summary: 'Read a model',
    permission: 'registry:read',
    params: z.strictObject({ model: nameSchema }),
    response: { status: 200, schema: modelViewSchema, description: 'The model.' },
    problems: ['MODEL_NOT_FOUND'],
    example: { params: { model: 'credit' } },
    handle: async ({ principal, params }) => {
      const body = await deps.findModel(principal.tenant, params.model);
      if (body === undefined)
        throw new PlatformError('MODEL_NOT_FOUND', 'There is no model of this name.');
      return { status: 200, body };
    },
  });
