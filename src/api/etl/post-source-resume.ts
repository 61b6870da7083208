import { z } from 'zod';
import { sourceViewSchema } from '../../domain/etl/collection-view.js';
import { sourceIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `POST /v1/sources/{id}:resume` */
export const postSourceResume = (deps: EtlRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/sources/{id}:resume',
    operation: 'sources.resume',
    summary: 'Resume a source',
    permission: 'etl:write',
    params: z.strictObject({ id: sourceIdSchema }),
    body: z.strictObject({ reason: z.string().min(1).max(1_000) }),
    response: { status: 200, schema: sourceViewSchema, description: 'The source.' },
    problems: ['ILLEGAL_TRANSITION'],
    example: {
      params: { id: 'src_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      body: { reason: 'maintenance of the share' },
    },
    handle: ({ caller, params, body }) =>
      deps.moveSource(caller, params.id, { to: 'ACTIVE', reason: body.reason }),
  });
