import { z } from 'zod';
import { quarantineViewSchema } from '../../domain/etl/document-requests.js';
import { quarantineItemIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** `GET /v1/quarantine/{id}` */
export const getQuarantineItem = (deps: EtlRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/quarantine/{id}',
    operation: 'quarantine.get',
    summary: 'Read a quarantined document',
    permission: 'etl:steward',
    params: z.strictObject({ id: quarantineItemIdSchema }),
    response: { status: 200, schema: quarantineViewSchema, description: 'The item.' },
    problems: [],
    example: { params: { id: 'qua_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await findOrRefuse(deps.findItem(principal.tenant, params.id), 'item'),
    }),
  });
