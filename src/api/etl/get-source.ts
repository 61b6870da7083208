import { z } from 'zod';
import { watchedSourceSchema } from '../../domain/etl/collection-view.js';
import { sourceIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** `GET /v1/sources/{id}` */
export const getSource = (deps: EtlRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/sources/{id}',
    operation: 'sources.get',
    summary: 'Read a source',
    permission: 'etl:read',
    params: z.strictObject({ id: sourceIdSchema }),
    response: { status: 200, schema: watchedSourceSchema, description: 'The source.' },
    problems: [],
    example: { params: { id: 'src_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ principal, params }) => {
      const source = await findOrRefuse(deps.findSource(principal.tenant, params.id), 'source');
      const links = { temporalUi: deps.links.temporalUi(source.workflowId) };
      return { status: 200, body: { ...source, links } };
    },
  });
