import { z } from 'zod';
import { sourceViewSchema } from '../../domain/etl/collection-view.js';
import { sourceIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** A person moves a source to another state, with a reason. */
export const sourceMoveRoute = (
  deps: EtlRouteDeps,
  move: { verb: 'pause' | 'resume'; to: 'ACTIVE' | 'PAUSED'; summary: string },
) =>
  route({
    method: 'post',
    path: `/v1/sources/{id}:${move.verb}`,
    operation: `sources.${move.verb}`,
    summary: move.summary,
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
      deps.moveSource(caller, params.id, { to: move.to, reason: body.reason }),
  });
