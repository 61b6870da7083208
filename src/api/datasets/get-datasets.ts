import { z } from 'zod';
import { datasetViewSchema } from '../../domain/datasets/contract.js';
import { nameSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';

/** `GET /v1/datasets`: by name. */
export const getDatasets = (deps: DatasetsRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/datasets',
    operation: 'datasets.list',
    summary: 'List data sets',
    permission: 'datasets:read',
    query: z.strictObject(pageQuery),
    response: { status: 200, schema: pageOf(datasetViewSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { limit: 20 } },
    handle: async ({ principal, query }) => {
      const filter = { list: 'datasets' };
      const page = readPage(query, filter, nameSchema);
      const found = await deps.listDatasets(principal.tenant, page);
      const body = writePage(found, page, { filter, keyOf: (item) => item.name });
      return { status: 200, body };
    },
  });
