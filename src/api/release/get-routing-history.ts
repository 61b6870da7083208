import { z } from 'zod';
import { routingEntrySchema } from '../../domain/release/view.js';
import { counterKey, pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';
import { targetOf, targetParams } from './target-params.js';

/** `GET /v1/models/{model}/envs/{env}/routing/history`: every epoch, newest first. */
export const getRoutingHistory = (deps: ReleaseRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/models/{model}/envs/{env}/routing/history',
    operation: 'routing.history',
    summary: 'List every epoch of a target',
    permission: 'release:read',
    params: targetParams,
    query: z.strictObject(pageQuery),
    response: { status: 200, schema: pageOf(routingEntrySchema), description: 'One page.' },
    problems: ['NOT_FOUND', 'CURSOR_INVALID'],
    example: { params: { model: 'credit', env: 'prod' } },
    handle: async ({ principal, params, query }) => {
      const target = targetOf(principal, params);
      const filter = { list: 'routing', ...target };
      const page = readPage(query, filter, counterKey());
      const from = { limit: page.limit, before: page.after };
      const found = await deps.listRouting(principal.tenant, target, from);
      const written = writePage(found, page, { filter, keyOf: ({ epoch }) => String(epoch) });
      return { status: 200, body: written };
    },
  });
