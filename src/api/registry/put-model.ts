import { z } from 'zod';
import { nameSchema } from '../../domain/ids.js';
import { modelViewSchema, registerModelSchema } from '../../domain/registry/contract.js';
import { route } from '../route.js';
import type { RegistryRouteDeps } from './registry-route-deps.js';

/** `PUT /v1/models/{model}`: registers a model, or changes what may change of it. */
export const putModel = (deps: RegistryRouteDeps) =>
  route({
    method: 'put',
    path: '/v1/models/{model}',
    operation: 'models.put',
    summary: 'Register a model',
    description:
      'Answers 201 for a new model. Purpose and outcome are fixed once a version is registered; a risk class can only be raised.',
    permission: 'registry:register',
    params: z.strictObject({ model: nameSchema }),
    body: registerModelSchema,
    response: {
      status: 200,
      schema: modelViewSchema,
      description: 'The model.',
      other: { status: 201, description: 'The new model.' },
    },
    problems: ['ILLEGAL_TRANSITION', 'ALREADY_EXISTS', 'POLICY_UNKNOWN'],
    example: {
      params: { model: 'credit' },
      body: {
        purpose: 'credit-scoring',
        riskClass: 'medium',
        outcome: { type: 'binary', labels: ['bad', 'good'] },
        owner: 'risk-team',
      },
    },
    handle: ({ caller, params, body }) => deps.putModel(caller, params.model, body),
  });
