import { collectionViewSchema, createCollectionSchema } from '../../domain/etl/collection-view.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';
import { generationSpec } from './generation-spec.js';

/** `POST /v1/collections` */
export const postCollections = (deps: EtlRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/collections',
    operation: 'collections.create',
    summary: 'Create a collection',
    description: 'With its first generation, which answers from the start.',
    permission: 'etl:admin',
    body: createCollectionSchema,
    response: { status: 201, schema: collectionViewSchema, description: 'The collection.' },
    problems: ['ALREADY_EXISTS', 'EMBEDDER_UNKNOWN', 'SINK_UNKNOWN', 'SINK_UNSUPPORTED_DIMS'],
    example: {
      body: {
        name: 'handbook',
        embedder: 'hash-384',
        aclDefault: ['group:staff'],
        purposes: ['support'],
      },
    },
    handle: ({ caller, body }) => {
      const { embedder, sink, lexicalSink } = body;
      const spec = generationSpec(deps, { embedder, sink, lexicalSink }, false);
      return deps.createCollection(caller, body, spec);
    },
  });
