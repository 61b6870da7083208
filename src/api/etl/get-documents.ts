import { z } from 'zod';
import { documentSummarySchema } from '../../domain/etl/document-requests.js';
import { collectionIdSchema, documentIdSchema, sourceIdSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `GET /v1/documents`: by id. */
export const getDocuments = (deps: EtlRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/documents',
    operation: 'documents.list',
    summary: 'List documents',
    permission: 'etl:read',
    query: z.strictObject({
      collectionId: collectionIdSchema.optional(),
      sourceId: sourceIdSchema.optional(),
      ...pageQuery,
    }),
    response: { status: 200, schema: pageOf(documentSummarySchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    handle: async ({ principal, query }) => {
      const { collectionId, sourceId } = query;
      const filter = { collectionId, sourceId };
      const page = readPage(query, filter, documentIdSchema);
      const found = await deps.listDocuments(principal.tenant, filter, page);
      const body = writePage(found, page, { filter, keyOf: (item) => item.id });
      return { status: 200, body };
    },
  });
