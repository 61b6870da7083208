import { z } from 'zod';
import { publicationStates, publicationViewSchema } from '../../domain/datasets/contract.js';
import { nameSchema, publicationIdSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';

/** `GET /v1/publications`: newest first. */
export const getPublications = (deps: DatasetsRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/publications',
    operation: 'publications.list',
    summary: 'List publications',
    permission: 'datasets:read',
    query: z.strictObject({
      dataset: nameSchema.optional(),
      state: z.enum(publicationStates).optional(),
      ...pageQuery,
    }),
    response: { status: 200, schema: pageOf(publicationViewSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { dataset: 'loans', state: 'QUARANTINED' } },
    handle: async ({ principal, query }) => {
      const filter = { dataset: query.dataset, state: query.state };
      const page = readPage(query, filter, publicationIdSchema);
      const found = await deps.listPublications(principal.tenant, filter, page);
      const body = writePage(found, page, { filter, keyOf: (item) => item.id });
      return { status: 200, body };
    },
  });
