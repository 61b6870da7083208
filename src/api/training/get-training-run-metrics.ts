import { z } from 'zod';
import { trainingRunIdSchema } from '../../domain/ids.js';
import { trainingMetricSchema, type TrainingMetricView } from '../../domain/training/contract.js';
import { counterKey, pageOf, pageQuery, readPage, textKey, writePage } from '../paging.js';
import { route } from '../route.js';
import { readRun } from './read-run.js';
import type { TrainingRouteDeps } from './training-route-deps.js';

/** `<step>:<name>`, because a name may hold what separates. */
const keyOf = ({ name, step }: TrainingMetricView): string => `${step}:${name}`;
const keySchema = z
  .string()
  .transform((key) => {
    const at = key.indexOf(':');
    return { step: key.slice(0, Math.max(at, 0)), name: key.slice(at + 1) };
  })
  .pipe(z.object({ step: counterKey(), name: textKey }));

/** `GET /v1/training-runs/{id}/metrics`: points by name, then step. */
export const getTrainingRunMetrics = (deps: TrainingRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/training-runs/{id}/metrics',
    operation: 'training-runs.metrics',
    summary: 'Read the metrics of a training run',
    description: 'Points in order of name and step.',
    permission: 'training:read',
    params: z.strictObject({ id: trainingRunIdSchema }),
    query: z.strictObject({ ...pageQuery, name: z.string().min(1).max(128).optional() }),
    response: { status: 200, schema: pageOf(trainingMetricSchema), description: 'A page.' },
    problems: ['CURSOR_INVALID'],
    example: {
      params: { id: 'trn_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      query: { name: 'log_loss' },
    },
    handle: async ({ principal, params, query }) => {
      const filter = { list: 'training-metrics', runId: params.id, name: query.name };
      const page = readPage(query, filter, keySchema);
      await readRun(deps, principal.tenant, params.id);
      const found = await deps.listMetrics(principal.tenant, filter, page);
      return { status: 200, body: writePage(found, page, { filter, keyOf }) };
    },
  });
