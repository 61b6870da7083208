import { z } from 'zod';
import { collectionViewSchema } from '../../domain/etl/collection-view.js';
import { collectionIdSchema, nameSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `GET /v1/collections`: newest first. */
export const getCollections = (deps: EtlRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/collections',
    operation: 'collections.list',
    summary: 'List collections',
    permission: 'etl:read',
    query: z.strictObject({ name: nameSchema.optional(), ...pageQuery }),
    response: { status: 200, schema: pageOf(collectionViewSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    handle: async ({ principal, query }) => {
      const { name } = query;
      const filter = { name };
      const page = readPage(query, filter, collectionIdSchema);
      const found = await deps.listCollections(principal.tenant, filter, page);
      const body = writePage(found, page, { filter, keyOf: (item) => item.id });
      return { status: 200, body };
    },
  });
