import { z } from 'zod';
import { datasetContractViewSchema } from '../../domain/datasets/contract.js';
import { contractIdSchema, nameSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** `GET /v1/datasets/{name}/contracts/{id}`. */
export const getDatasetContract = (deps: DatasetsRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/datasets/{name}/contracts/{id}',
    operation: 'dataset-contracts.get',
    summary: 'Read a contract of a data set',
    permission: 'datasets:read',
    params: z.strictObject({ name: nameSchema, id: contractIdSchema }),
    response: { status: 200, schema: datasetContractViewSchema, description: 'The contract.' },
    problems: [],
    example: { params: { name: 'loans', id: 'con_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await findOrRefuse(
        deps.findContract(principal.tenant, params.name, params.id),
        'contract',
      ),
    }),
  });
