import { z } from 'zod';
import { reconcileSchema } from '../../domain/etl/collection-view.js';
import { collectionIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import { started, startedSchema } from '../started.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `POST /v1/collections/{id}:reconcile` */
export const postCollectionReconcile = (deps: EtlRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/collections/{id}:reconcile',
    operation: 'collections.reconcile',
    summary: 'Compare a generation with its store and repair it',
    permission: 'etl:operate',
    params: z.strictObject({ id: collectionIdSchema }),
    body: reconcileSchema,
    response: { status: 202, schema: startedSchema, description: 'The comparison has begun.' },
    problems: ['RUN_IN_PROGRESS'],
    example: { params: { id: 'col_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' }, body: {} },
    handle: async ({ caller, params, body }) =>
      started(
        await deps.reconcile(caller, params.id, body),
        `/v1/collections/${params.id}`,
        deps.links,
      ),
  });
