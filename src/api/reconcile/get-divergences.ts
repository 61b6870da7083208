import { z } from 'zod';
import {
  divergenceKinds,
  divergenceStates,
  divergenceViewSchema,
} from '../../domain/reconcile/contract.js';
import { divergenceIdSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { ReconcileRouteDeps } from './reconcile-route-deps.js';

/** `GET /v1/divergences`: where Postgres and Temporal differed and what was done, newest first. */
export const getDivergences = (deps: ReconcileRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/divergences',
    operation: 'divergences.list',
    summary: 'List divergences between Postgres and Temporal',
    permission: 'incidents:read',
    query: z.strictObject({
      state: z.enum(divergenceStates).optional(),
      kind: z.enum(divergenceKinds).optional(),
      ...pageQuery,
    }),
    response: { status: 200, schema: pageOf(divergenceViewSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { state: 'OPEN' } },
    handle: async ({ principal, query }) => {
      const { state, kind } = query;
      const bound = { list: 'divergences', state: state ?? '', kind: kind ?? '' };
      const page = readPage(query, bound, divergenceIdSchema);
      const found = await deps.listDivergences(principal.tenant, { state, kind }, page);
      const written = writePage(found, page, { filter: bound, keyOf: ({ id }) => id });
      return { status: 200, body: written };
    },
  });
