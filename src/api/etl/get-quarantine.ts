import { z } from 'zod';
import { quarantineViewSchema, quarantineStates } from '../../domain/etl/document-requests.js';
import { collectionIdSchema, quarantineItemIdSchema, sourceIdSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `GET /v1/quarantine`: newest first. */
export const getQuarantine = (deps: EtlRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/quarantine',
    operation: 'quarantine.list',
    summary: 'List quarantined documents',
    permission: 'etl:steward',
    query: z.strictObject({
      collectionId: collectionIdSchema.optional(),
      sourceId: sourceIdSchema.optional(),
      state: z.enum(quarantineStates).optional(),
      reason: z.string().max(100).optional(),
      ...pageQuery,
    }),
    response: { status: 200, schema: pageOf(quarantineViewSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    handle: async ({ principal, query }) => {
      const { collectionId, sourceId, state, reason } = query;
      const filter = { collectionId, sourceId, state, reason };
      const page = readPage(query, filter, quarantineItemIdSchema);
      const found = await deps.listItems(principal.tenant, filter, page);
      const body = writePage(found, page, { filter, keyOf: (item) => item.id });
      return { status: 200, body };
    },
  });
