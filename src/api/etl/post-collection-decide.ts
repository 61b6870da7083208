import { z } from 'zod';
import {
  decideGenerationSchema,
  generationDecisionSchema,
} from '../../domain/etl/generation-decision.js';
import { collectionIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `POST /v1/collections/{id}:decide` */
export const postCollectionDecide = (deps: EtlRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/collections/{id}:decide',
    operation: 'collections.decide',
    summary: 'Decide on a generation',
    description:
      'A generation that its gate could not decide on waits for another person. One that is being built may be dropped at any time.',
    permission: 'etl:approve',
    params: z.strictObject({ id: collectionIdSchema }),
    body: decideGenerationSchema,
    response: { status: 200, schema: generationDecisionSchema, description: 'The decision.' },
    problems: [
      ...(['SELF_APPROVAL', 'DECISION_EXPIRED', 'ALREADY_DECIDED'] as const),
      ...(['ILLEGAL_TRANSITION', 'GENERATION_BUILDING'] as const),
    ],
    example: {
      params: { id: 'col_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      body: {
        generationId: 'gen_01JZ8Q4T5V6W7X8Y9ZABCDEFGH',
        decision: 'flip',
        reason: 'the answers of the sample are as good',
      },
    },
    handle: ({ caller, params, body }) => deps.decideGeneration(caller, params.id, body),
  });
