import { z } from 'zod';
import { inferenceIdSchema } from '../../domain/ids.js';
import { inferenceFilterShape, inferenceResultSchema } from '../../domain/inference/contract.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { InferenceRouteDeps } from './inference-route-deps.js';
import { inferenceView } from './inference-view.js';

/** `GET /v1/inferences`: the caller's own, newest first. */
export const getInferences = (deps: InferenceRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/inferences',
    operation: 'inferences.list',
    summary: 'List your inferences',
    permission: 'inference:invoke',
    query: z.strictObject({ ...pageQuery, ...inferenceFilterShape }),
    response: { status: 200, schema: pageOf(inferenceResultSchema), description: 'A page.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { status: 'SUCCEEDED' } },
    handle: async ({ principal, query }) => {
      const { tenant, subject, env } = principal;
      const filter = { principalId: subject, env, status: query.status, model: query.model };
      const page = readPage(query, filter, inferenceIdSchema);
      const found = await deps.listInferences(tenant, filter, page);
      const { items, nextCursor } = writePage(found, page, {
        filter,
        keyOf: ({ inferenceId }) => inferenceId,
      });
      const views = await Promise.all(items.map((item) => inferenceView(deps, tenant, item)));
      return { status: 200, body: { items: views, ...(nextCursor && { nextCursor }) } };
    },
  });
