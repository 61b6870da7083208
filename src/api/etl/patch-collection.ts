import { z } from 'zod';
import {
  changeCollectionSchema,
  changedCollectionSchema,
} from '../../domain/etl/collection-view.js';
import { collectionIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `PATCH /v1/collections/{id}` */
export const patchCollection = (deps: EtlRouteDeps) =>
  route({
    method: 'patch',
    path: '/v1/collections/{id}',
    operation: 'collections.change',
    summary: 'Change a collection',
    description:
      'Another chunking or PII policy processes the documents again; search goes on meanwhile.',
    permission: 'etl:admin',
    params: z.strictObject({ id: collectionIdSchema }),
    body: changeCollectionSchema,
    response: { status: 200, schema: changedCollectionSchema, description: 'The collection.' },
    problems: ['FUSION_UNPROVEN'],
    example: { params: { id: 'col_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' }, body: { alphaBp: 9000 } },
    handle: ({ caller, params, body }) => deps.changeCollection(caller, params.id, body),
  });
