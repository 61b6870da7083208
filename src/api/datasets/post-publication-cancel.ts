import { z } from 'zod';
import {
  cancelPublicationSchema,
  isFinalPublicationState,
  publicationViewSchema,
} from '../../domain/datasets/contract.js';
import { publicationIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import { started, startedSchema } from '../started.js';
import { waitUntil } from '../wait-until.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** `POST /v1/publications/{id}:cancel`: ends a publication without a snapshot. */
export const postPublicationCancel = (deps: DatasetsRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/publications/{id}:cancel',
    operation: 'publications.cancel',
    summary: 'Cancel a publication',
    description: 'Once this is answered, nothing is published.',
    permission: 'etl:steward',
    params: z.strictObject({ id: publicationIdSchema }),
    body: cancelPublicationSchema,
    response: {
      status: 202,
      schema: startedSchema,
      description: 'The publication is being cancelled.',
    },
    problems: ['ILLEGAL_TRANSITION'],
    example: {
      params: { id: 'pub_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      body: { reason: 'wrong file' },
    },
    handle: async ({ caller, params, body }) => {
      const outcome = await deps.requestCancel(caller, params.id, body.reason);
      return started(outcome, `/v1/publications/${params.id}`, deps.links);
    },
    wait: waitUntil({
      schema: publicationViewSchema,
      read: (principal, id) =>
        findOrRefuse(deps.findPublication(principal.tenant, id), 'publication'),
      isFinal: ({ state }) => isFinalPublicationState(state),
    }),
  });
