import { z } from 'zod';
import { rebuildSchema } from '../../domain/etl/generation-decision.js';
import { collectionIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import { started, startedSchema } from '../started.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `POST /v1/collections/{id}:rebuild` */
export const postCollectionRebuild = (deps: EtlRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/collections/{id}:rebuild',
    operation: 'collections.rebuild',
    summary: 'Build the live generation anew from stored text',
    description:
      'For a store that lost rows or recall: the same embedder, in a place of its own, live once it is whole.',
    permission: 'etl:operate',
    params: z.strictObject({ id: collectionIdSchema }),
    body: rebuildSchema,
    response: { status: 202, schema: startedSchema, description: 'The generation is being built.' },
    problems: ['GENERATION_BUILDING'],
    example: { params: { id: 'col_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' }, body: {} },
    handle: async ({ caller, params, body }) =>
      started(
        await deps.rebuild(caller, params.id, body),
        `/v1/collections/${params.id}`,
        deps.links,
      ),
  });
