import { z } from 'zod';
import { nameSchema, trainingRunIdSchema } from '../../domain/ids.js';
import { trainingRunViewSchema, trainingStates } from '../../domain/training/contract.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { TrainingRouteDeps } from './training-route-deps.js';

/** `GET /v1/models/{model}/training-runs`: newest first. */
export const getModelTrainingRuns = (deps: TrainingRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/models/{model}/training-runs',
    operation: 'training-runs.list',
    summary: 'List the training runs of a model',
    permission: 'training:read',
    params: z.strictObject({ model: nameSchema }),
    query: z.strictObject({
      ...pageQuery,
      experiment: z.string().min(1).max(128).optional(),
      state: z.enum(trainingStates).optional(),
    }),
    response: { status: 200, schema: pageOf(trainingRunViewSchema), description: 'A page.' },
    problems: ['CURSOR_INVALID'],
    example: { params: { model: 'credit' }, query: { state: 'REGISTERED' } },
    handle: async ({ principal, params, query }) => {
      const { experiment, state } = query;
      const filter = { list: 'training-runs', model: params.model, experiment, state };
      const page = readPage(query, filter, trainingRunIdSchema);
      const found = await deps.listRuns(principal.tenant, filter, page);
      return { status: 200, body: writePage(found, page, { filter, keyOf: ({ id }) => id }) };
    },
  });
