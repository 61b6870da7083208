import { z } from 'zod';
import { snapshotViewSchema } from '../../domain/datasets/contract.js';
import { nameSchema, publicationIdSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';

/** `GET /v1/snapshots`: newest first. */
export const getSnapshots = (deps: DatasetsRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/snapshots',
    operation: 'snapshots.list',
    summary: 'List snapshots',
    permission: 'datasets:read',
    query: z.strictObject({ dataset: nameSchema.optional(), ...pageQuery }),
    response: { status: 200, schema: pageOf(snapshotViewSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { dataset: 'loans' } },
    handle: async ({ principal, query }) => {
      const filter = { dataset: query.dataset };
      const page = readPage(query, filter, publicationIdSchema);
      const found = await deps.listSnapshots(principal.tenant, filter, page);
      const body = writePage(found, page, { filter, keyOf: (item) => item.publicationId });
      return { status: 200, body };
    },
  });
