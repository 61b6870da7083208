import { z } from 'zod';
import { scanViewSchema } from '../../domain/etl/collection-view.js';
import { sourceIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import { started, startedSchema } from '../started.js';
import { waitUntil } from '../wait-until.js';
import type { EtlRouteDeps } from './etl-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** `POST /v1/sources/{id}:scan` */
export const postSourceScan = (deps: EtlRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/sources/{id}:scan',
    operation: 'sources.scan',
    summary: 'Scan a source now',
    permission: 'etl:write',
    params: z.strictObject({ id: sourceIdSchema }),
    response: { status: 202, schema: startedSchema, description: 'The scan has begun.' },
    problems: ['SCAN_RUNNING', 'SOURCE_PAUSED', 'SOURCE_CONFIG_INVALID'],
    example: { params: { id: 'src_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ caller, params }) => {
      const outcome = await deps.startScan(caller, params.id);
      return started(outcome, `/v1/scans/${outcome.body.id}`, deps.links);
    },
    wait: waitUntil({
      schema: scanViewSchema,
      read: (principal, id) => findOrRefuse(deps.findScan(principal.tenant, id), 'scan'),
      isFinal: ({ state }) => state !== 'RUNNING',
    }),
  });
