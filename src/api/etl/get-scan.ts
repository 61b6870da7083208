import { z } from 'zod';
import { scanViewSchema } from '../../domain/etl/collection-view.js';
import { scanIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** `GET /v1/scans/{id}` */
export const getScan = (deps: EtlRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/scans/{id}',
    operation: 'scans.get',
    summary: 'Read a scan',
    permission: 'etl:read',
    params: z.strictObject({ id: scanIdSchema }),
    response: { status: 200, schema: scanViewSchema, description: 'The scan.' },
    problems: [],
    example: { params: { id: 'scn_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await findOrRefuse(deps.findScan(principal.tenant, params.id), 'scan'),
    }),
  });
