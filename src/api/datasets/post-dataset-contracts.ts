import { z } from 'zod';
import { datasetContractViewSchema } from '../../domain/datasets/contract.js';
import { parseDatasetContract } from '../../domain/datasets/dataset-contract.js';
import { PlatformError } from '../../domain/errors.js';
import { nameSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';

/** A contract may list 10,000 categories for a field. */
const BODY_BYTES = 2_097_152;

/** `POST /v1/datasets/{name}/contracts`: writes a contract, which never changes. */
export const postDatasetContracts = (deps: DatasetsRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/datasets/{name}/contracts',
    operation: 'dataset-contracts.create',
    summary: 'Write a contract of a data set',
    description:
      'Fields with type, limits and sensitivity, the label, and optionally key, subject and event time. Immutable.',
    permission: 'datasets:write',
    params: z.strictObject({ name: nameSchema }),
    // Parsed below: a wrong contract is answered as CONTRACT_INVALID with every wrong field.
    body: z.looseObject({ fields: z.unknown(), label: z.unknown() }),
    bodyLimitBytes: BODY_BYTES,
    response: { status: 201, schema: datasetContractViewSchema, description: 'The contract.' },
    problems: ['CONTRACT_INVALID'],
    example: {
      params: { name: 'loans' },
      body: {
        fields: [
          { name: 'income', type: 'number', min: 0 },
          { name: 'sex', type: 'categorical', personal: 'protected' },
          { name: 'outcome', type: 'categorical', enum: ['bad', 'good'] },
        ],
        label: { field: 'outcome', positive: 'good' },
      },
    },
    handle: async ({ caller, params, body }) => {
      const parsed = parseDatasetContract(body);
      if (parsed.ok) return deps.createContract(caller, params.name, parsed.contract);
      const { errors } = parsed;
      const message = `Wrong fields of the contract: ${errors.length}.`;
      throw new PlatformError('CONTRACT_INVALID', message, { errors });
    },
  });
