import { z } from 'zod';
import { reembedSchema } from '../../domain/etl/collection-view.js';
import { collectionIdSchema } from '../../domain/ids.js';
import { groupsOf } from '../../domain/access/principal.js';
import { route } from '../route.js';
import { started, startedSchema } from '../started.js';
import type { EtlRouteDeps } from './etl-route-deps.js';
import { generationSpec } from './generation-spec.js';

/** `POST /v1/collections/{id}:reembed` */
export const postCollectionReembed = (deps: EtlRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/collections/{id}:reembed',
    operation: 'collections.reembed',
    summary: 'Embed a collection anew',
    description:
      'A new generation is built beside the live one, which answers until the gate passes.',
    permission: 'etl:admin',
    params: z.strictObject({ id: collectionIdSchema }),
    body: reembedSchema,
    response: { status: 202, schema: startedSchema, description: 'The generation is being built.' },
    problems: ['GENERATION_BUILDING', 'EMBEDDER_UNKNOWN', 'SINK_UNKNOWN', 'SINK_UNSUPPORTED_DIMS'],
    example: { params: { id: 'col_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' }, body: { embedder: 'lsa' } },
    handle: async ({ caller, principal, params, body }) => {
      const reader = { subject: principal.subject, groups: groupsOf(principal) };
      const asked = { collectionId: params.id, request: body, reader };
      const outcome = await deps.reembed(caller, asked, (live) => {
        const { embedder, sink = live.sink, lexicalSink } = body;
        return generationSpec(deps, { embedder, sink, lexicalSink }, true);
      });
      return started(outcome, `/v1/collections/${params.id}`, deps.links);
    },
  });
