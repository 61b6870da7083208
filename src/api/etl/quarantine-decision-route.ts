import { z } from 'zod';
import type { ErrorCode } from '../../domain/errors.js';
import {
  quarantineDecisionSchema,
  quarantineViewSchema,
  type QuarantineVerb,
} from '../../domain/etl/document-requests.js';
import { quarantineItemIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** A steward decides about a quarantined document, with a reason. */
export const quarantineDecisionRoute = (
  deps: EtlRouteDeps,
  decision: { verb: QuarantineVerb; summary: string; description: string; problems?: ErrorCode[] },
) =>
  route({
    method: 'post',
    path: `/v1/quarantine/{id}:${decision.verb}`,
    operation: `quarantine.${decision.verb}`,
    summary: decision.summary,
    description: decision.description,
    permission: 'etl:steward',
    params: z.strictObject({ id: quarantineItemIdSchema }),
    body: quarantineDecisionSchema,
    response: { status: 200, schema: quarantineViewSchema, description: 'The item.' },
    problems: [...(decision.problems ?? []), 'ILLEGAL_TRANSITION'],
    example: {
      params: { id: 'qua_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      body: { reason: 'checked with the owner of the source' },
    },
    handle: ({ caller, params, body }) =>
      deps.decideItem(caller, params.id, { verb: decision.verb, reason: body.reason }),
  });
