import { z } from 'zod';
import {
  decideQuarantineSchema,
  isFinalPublicationState,
  publicationViewSchema,
} from '../../domain/datasets/contract.js';
import { publicationIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import { started, startedSchema } from '../started.js';
import { waitUntil } from '../wait-until.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** `POST /v1/publications/{id}:discard`: ends a quarantined batch without a snapshot. */
export const postPublicationDiscard = (deps: DatasetsRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/publications/{id}:discard',
    operation: 'publications.discard',
    summary: 'Discard a quarantined batch',
    description:
      'Nothing of it is published. For a high risk class another steward than the one who uploaded it decides.',
    permission: 'etl:steward',
    params: z.strictObject({ id: publicationIdSchema }),
    body: decideQuarantineSchema,
    response: { status: 202, schema: startedSchema, description: 'The batch is being discarded.' },
    problems: ['ILLEGAL_TRANSITION', 'SELF_APPROVAL'],
    example: {
      params: { id: 'pub_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      body: { reason: 'wrong export' },
    },
    handle: async ({ caller, params, body }) => {
      const asked = { kind: 'discard' as const, reason: body.reason };
      const outcome = await deps.decideQuarantine(caller, params.id, asked);
      return started(outcome, `/v1/publications/${params.id}`, deps.links);
    },
    wait: waitUntil({
      schema: publicationViewSchema,
      read: (principal, id) =>
        findOrRefuse(deps.findPublication(principal.tenant, id), 'publication'),
      isFinal: ({ state }) => isFinalPublicationState(state),
    }),
  });
