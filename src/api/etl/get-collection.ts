import { z } from 'zod';
import { collectionViewSchema } from '../../domain/etl/collection-view.js';
import { collectionIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** `GET /v1/collections/{id}` */
export const getCollection = (deps: EtlRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/collections/{id}',
    operation: 'collections.get',
    summary: 'Read a collection',
    permission: 'etl:read',
    params: z.strictObject({ id: collectionIdSchema }),
    response: { status: 200, schema: collectionViewSchema, description: 'The collection.' },
    problems: [],
    example: { params: { id: 'col_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await findOrRefuse(deps.findCollection(principal.tenant, params.id), 'collection'),
    }),
  });
