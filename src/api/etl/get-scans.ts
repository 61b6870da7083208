import { z } from 'zod';
import { scanViewSchema } from '../../domain/etl/collection-view.js';
import { scanStates } from '../../domain/etl/contract.js';
import { scanIdSchema, sourceIdSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `GET /v1/scans`: newest first. */
export const getScans = (deps: EtlRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/scans',
    operation: 'scans.list',
    summary: 'List scans',
    permission: 'etl:read',
    query: z.strictObject({
      sourceId: sourceIdSchema.optional(),
      state: z.enum(scanStates).optional(),
      ...pageQuery,
    }),
    response: { status: 200, schema: pageOf(scanViewSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    handle: async ({ principal, query }) => {
      const { sourceId, state } = query;
      const filter = { sourceId, state };
      const page = readPage(query, filter, scanIdSchema);
      const found = await deps.listScans(principal.tenant, filter, page);
      const body = writePage(found, page, { filter, keyOf: (item) => item.id });
      return { status: 200, body };
    },
  });
