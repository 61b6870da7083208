import { z } from 'zod';
import { sourceViewSchema, sourceStates } from '../../domain/etl/collection-view.js';
import { collectionIdSchema, sourceIdSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `GET /v1/sources`: newest first. */
export const getSources = (deps: EtlRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/sources',
    operation: 'sources.list',
    summary: 'List sources',
    permission: 'etl:read',
    query: z.strictObject({
      collectionId: collectionIdSchema.optional(),
      state: z.enum(sourceStates).optional(),
      ...pageQuery,
    }),
    response: { status: 200, schema: pageOf(sourceViewSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    handle: async ({ principal, query }) => {
      const { collectionId, state } = query;
      const filter = { collectionId, state };
      const page = readPage(query, filter, sourceIdSchema);
      const found = await deps.listSources(principal.tenant, filter, page);
      const body = writePage(found, page, { filter, keyOf: (item) => item.id });
      return { status: 200, body };
    },
  });
