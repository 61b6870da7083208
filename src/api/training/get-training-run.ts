import { z } from 'zod';
import { trainingRunIdSchema } from '../../domain/ids.js';
import { trainingRunViewSchema } from '../../domain/training/contract.js';
import { route } from '../route.js';
import { readRun } from './read-run.js';
import type { TrainingRouteDeps } from './training-route-deps.js';

/** `GET /v1/training-runs/{id}`. */
export const getTrainingRun = (deps: TrainingRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/training-runs/{id}',
    operation: 'training-runs.get',
    summary: 'Read a training run',
    permission: 'training:read',
    params: z.strictObject({ id: trainingRunIdSchema }),
    response: { status: 200, schema: trainingRunViewSchema, description: 'The run.' },
    problems: [],
    example: { params: { id: 'trn_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await readRun(deps, principal.tenant, params.id),
    }),
  });
