import { z } from 'zod';
import { killSwitchIdSchema } from '../../domain/ids.js';
import { commandSchema } from '../../domain/release/contract.js';
import { killViewSchema } from '../../domain/release/view.js';
import { route } from '../route.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/** `POST /v1/kill-switches/{id}:request-lift`: the first of two people; the switch stays on. */
export const postKillSwitchRequestLift = (deps: ReleaseRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/kill-switches/{id}:request-lift',
    operation: 'kill-switches.request-lift',
    summary: 'Ask to lift a kill switch',
    permission: 'incidents:request-lift',
    params: z.strictObject({ id: killSwitchIdSchema }),
    body: commandSchema,
    response: { status: 200, schema: killViewSchema, description: 'The switch afterwards.' },
    problems: ['NOT_FOUND', 'ILLEGAL_TRANSITION'],
    example: {
      params: { id: 'kil_01KAJ4Y4G0000000000000000' },
      body: { reason: 'the cause is fixed' },
    },
    handle: ({ caller, principal, params, body }) =>
      deps.requestLift(caller, { env: principal.env, killId: params.id, reason: body.reason }),
  });
