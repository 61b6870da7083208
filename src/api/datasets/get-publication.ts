import { z } from 'zod';
import { publicationViewSchema } from '../../domain/datasets/contract.js';
import { publicationIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** `GET /v1/publications/{id}`: state, and counts per rule once there are any. */
export const getPublication = (deps: DatasetsRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/publications/{id}',
    operation: 'publications.get',
    summary: 'Read a publication',
    permission: 'datasets:read',
    params: z.strictObject({ id: publicationIdSchema }),
    response: { status: 200, schema: publicationViewSchema, description: 'The publication.' },
    problems: [],
    example: { params: { id: 'pub_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await findOrRefuse(deps.findPublication(principal.tenant, params.id), 'publication'),
    }),
  });
