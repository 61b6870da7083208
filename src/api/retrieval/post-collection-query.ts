import { z } from 'zod';
import { collectionIdSchema } from '../../domain/ids.js';
import {
  answerSchema,
  querySchema,
  type Query,
  type RetrievalAnswer,
} from '../../domain/retrieval/contract.js';
import { route } from '../route.js';
import { askingOf, type Asking } from './asking-of.js';

export interface PostCollectionQueryDeps {
  query: (
    asking: Asking,
    of: { collectionId: string; query: Query; signal: AbortSignal },
  ) => Promise<RetrievalAnswer>;
}

/** `POST /v1/collections/{id}:query`: hits with citations from the live generation. */
export const postCollectionQuery = (deps: PostCollectionQueryDeps) =>
  route({
    method: 'post',
    path: '/v1/collections/{id}:query',
    operation: 'collections.query',
    summary: 'Search a collection',
    description:
      'Answers what the caller, or the person a delegate names, may read for the purpose. Every hit cites a pinned ' +
      'revision and an exact span.',
    permission: 'retrieval:query',
    params: z.strictObject({ id: collectionIdSchema }),
    body: querySchema,
    class: 'interactive',
    response: { status: 200, schema: answerSchema, description: 'Hits, best first.' },
    problems: ['PURPOSE_DENIED', 'NOT_YET_INDEXED', 'EMBEDDER_UNAVAILABLE', 'SINK_UNAVAILABLE'],
    example: {
      params: { id: 'col_01KAJ4Y4G0000000000000000' },
      body: { text: 'how do I rotate a key?', purpose: 'support', k: 5 },
    },
    handle: async ({ principal, params, body, signal }) => ({
      status: 200,
      body: await deps.query(askingOf(principal), {
        collectionId: params.id,
        query: body,
        signal: signal(),
      }),
    }),
  });
