import { z } from 'zod';
import { rollbackSchema } from '../../domain/etl/collection-view.js';
import { collectionIdSchema, generationIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

const rolledBackSchema = z.object({
  collectionId: collectionIdSchema,
  generationId: generationIdSchema,
  previousGenerationId: generationIdSchema,
  generationEpoch: z.int(),
});

/** `POST /v1/collections/{id}:rollback` */
export const postCollectionRollback = (deps: EtlRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/collections/{id}:rollback',
    operation: 'collections.rollback',
    summary: 'Go back to a held generation',
    permission: 'etl:admin',
    params: z.strictObject({ id: collectionIdSchema }),
    body: rollbackSchema,
    response: { status: 200, schema: rolledBackSchema, description: 'Which one answers now.' },
    problems: ['GENERATION_NOT_HELD'],
    example: {
      params: { id: 'col_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      body: {
        generationId: 'gen_01JZ8Q4T5V6W7X8Y9ZABCDEFGH',
        reason: 'answers got worse for short questions',
      },
    },
    handle: async ({ caller, params, body }) => {
      const { body: moved, ...outcome } = await deps.rollback(caller, params.id, body);
      return { ...outcome, body: rolledBackSchema.parse(moved) };
    },
  });
