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

/** `POST /v1/publications/{id}:release`: publishes the valid rows of a quarantined batch. */
export const postPublicationRelease = (deps: DatasetsRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/publications/{id}:release',
    operation: 'publications.release',
    summary: 'Release a quarantined batch',
    description:
      'Publishes its valid rows. For a high risk class another steward than the one who uploaded it decides.',
    permission: 'etl:steward',
    params: z.strictObject({ id: publicationIdSchema }),
    body: decideQuarantineSchema,
    response: { status: 202, schema: startedSchema, description: 'The batch is being published.' },
    problems: ['ILLEGAL_TRANSITION', 'SELF_APPROVAL', 'DATASET_EMPTY'],
    example: {
      params: { id: 'pub_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      body: { reason: 'known gap in the source, counts agreed with the owner' },
    },
    handle: async ({ caller, params, body }) => {
      const asked = { kind: 'release' as const, reason: body.reason };
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
