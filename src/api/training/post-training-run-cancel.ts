import { z } from 'zod';
import { trainingRunIdSchema } from '../../domain/ids.js';
import {
  cancelTrainingSchema,
  isFinalTrainingState,
  trainingRunViewSchema,
} from '../../domain/training/contract.js';
import { route } from '../route.js';
import { started, startedSchema } from '../started.js';
import { waitUntil } from '../wait-until.js';
import { readRun } from './read-run.js';
import type { TrainingRouteDeps } from './training-route-deps.js';

/** `POST /v1/training-runs/{id}:cancel`: ends the run with a last checkpoint and without a version. */
export const postTrainingRunCancel = (deps: TrainingRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/training-runs/{id}:cancel',
    operation: 'training-runs.cancel',
    summary: 'Cancel a training run',
    description: 'Once this is answered, the run registers no version.',
    permission: 'training:run',
    params: z.strictObject({ id: trainingRunIdSchema }),
    body: cancelTrainingSchema,
    response: { status: 202, schema: startedSchema, description: 'The run is being cancelled.' },
    problems: ['ILLEGAL_TRANSITION'],
    example: {
      params: { id: 'trn_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      body: { reason: 'wrong snapshot' },
    },
    handle: async ({ caller, params, body }) => {
      const outcome = await deps.requestCancel(caller, params.id, body.reason);
      return started(outcome, `/v1/training-runs/${params.id}`, deps.links);
    },
    wait: waitUntil({
      schema: trainingRunViewSchema,
      read: (principal, id) => readRun(deps, principal.tenant, id),
      isFinal: ({ state }) => isFinalTrainingState(state),
    }),
  });
