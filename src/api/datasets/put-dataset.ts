import { z } from 'zod';
import { datasetViewSchema, putDatasetSchema } from '../../domain/datasets/contract.js';
import { nameSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';

/** `PUT /v1/datasets/{name}`: creates a data set, or changes its terms for the snapshots to come. */
export const putDataset = (deps: DatasetsRouteDeps) =>
  route({
    method: 'put',
    path: '/v1/datasets/{name}',
    operation: 'datasets.put',
    summary: 'Create or change a data set',
    description: 'Answers 201 for a new one. A risk class can only be raised.',
    permission: 'datasets:write',
    params: z.strictObject({ name: nameSchema }),
    body: putDatasetSchema,
    response: {
      status: 200,
      schema: datasetViewSchema,
      description: 'The data set.',
      other: { status: 201, description: 'The new data set.' },
    },
    problems: ['ILLEGAL_TRANSITION'],
    example: {
      params: { name: 'loans' },
      body: {
        title: 'Loan applications',
        purposes: ['credit-scoring'],
        legalBasis: 'contract',
        retentionDays: 365,
        riskClass: 'medium',
      },
    },
    handle: ({ caller, params, body }) => deps.putDataset(caller, params.name, body),
  });
