import { z } from 'zod';
import {
  quarantineDecisionSchema,
  quarantineViewSchema,
} from '../../domain/etl/document-requests.js';
import { quarantineItemIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `POST /v1/quarantine/{id}:retry` */
export const postQuarantineRetry = (deps: EtlRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/quarantine/{id}:retry',
    operation: 'quarantine.retry',
    summary: 'Try a quarantined document again',
    description: 'Its change is due again and goes through every gate.',
    permission: 'etl:steward',
    params: z.strictObject({ id: quarantineItemIdSchema }),
    body: quarantineDecisionSchema,
    response: { status: 200, schema: quarantineViewSchema, description: 'The item.' },
    problems: ['ILLEGAL_TRANSITION'],
    example: {
      params: { id: 'qua_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      body: { reason: 'checked with the owner of the source' },
    },
    handle: ({ caller, params, body }) =>
      deps.decideItem(caller, params.id, { verb: 'retry', reason: body.reason }),
  });
