import { z } from 'zod';
import {
  quarantineDecisionSchema,
  quarantineViewSchema,
} from '../../domain/etl/document-requests.js';
import { quarantineItemIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `POST /v1/quarantine/{id}:discard` */
export const postQuarantineDiscard = (deps: EtlRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/quarantine/{id}:discard',
    operation: 'quarantine.discard',
    summary: 'Give up a quarantined change',
    description: 'The revision that is served stays as it is.',
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
      deps.decideItem(caller, params.id, { verb: 'discard', reason: body.reason }),
  });
