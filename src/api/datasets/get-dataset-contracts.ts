import { z } from 'zod';
import { datasetContractViewSchema } from '../../domain/datasets/contract.js';
import { contractIdSchema, nameSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';

/** `GET /v1/datasets/{name}/contracts`: newest first. */
export const getDatasetContracts = (deps: DatasetsRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/datasets/{name}/contracts',
    operation: 'dataset-contracts.list',
    summary: 'List the contracts of a data set',
    permission: 'datasets:read',
    params: z.strictObject({ name: nameSchema }),
    query: z.strictObject(pageQuery),
    response: { status: 200, schema: pageOf(datasetContractViewSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    example: { params: { name: 'loans' } },
    handle: async ({ principal, params, query }) => {
      const page = readPage(query, params, contractIdSchema);
      const found = await deps.listContracts(principal.tenant, params.name, page);
      const body = writePage(found, page, { filter: params, keyOf: (item) => item.id });
      return { status: 200, body };
    },
  });
