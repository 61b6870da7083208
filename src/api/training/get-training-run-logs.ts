import { z } from 'zod';
import { trainingRunIdSchema } from '../../domain/ids.js';
import { trainingLogSchema } from '../../domain/training/contract.js';
import { counterKey, pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import { readRun } from './read-run.js';
import type { TrainingRouteDeps } from './training-route-deps.js';

/** `GET /v1/training-runs/{id}/logs`: lines, oldest first. */
export const getTrainingRunLogs = (deps: TrainingRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/training-runs/{id}/logs',
    operation: 'training-runs.logs',
    summary: 'Read the log of a training run',
    description: 'Lines in the order in which they were written.',
    permission: 'training:read',
    params: z.strictObject({ id: trainingRunIdSchema }),
    query: z.strictObject(pageQuery),
    response: { status: 200, schema: pageOf(trainingLogSchema), description: 'A page.' },
    problems: ['CURSOR_INVALID'],
    example: { params: { id: 'trn_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ principal, params, query }) => {
      const filter = { list: 'training-logs', runId: params.id };
      const page = readPage(query, filter, counterKey());
      await readRun(deps, principal.tenant, params.id);
      const from = { limit: page.limit, after: page.after ?? 0 };
      const found = await deps.listLogs(principal.tenant, params.id, from);
      const body = writePage(found, page, { filter, keyOf: ({ seq }) => String(seq) });
      return { status: 200, body };
    },
  });
