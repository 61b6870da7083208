import { z } from 'zod';
import { datasetViewSchema } from '../../domain/datasets/contract.js';
import { nameSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** `GET /v1/datasets/{name}`. */
export const getDataset = (deps: DatasetsRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/datasets/{name}',
    operation: 'datasets.get',
    summary: 'Read a data set',
    permission: 'datasets:read',
    params: z.strictObject({ name: nameSchema }),
    response: { status: 200, schema: datasetViewSchema, description: 'The data set.' },
    problems: [],
    example: { params: { name: 'loans' } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await findOrRefuse(deps.findDataset(principal.tenant, params.name), 'data set'),
    }),
  });
