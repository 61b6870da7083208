import { z } from 'zod';
import { killSwitchIdSchema } from '../../domain/ids.js';
import { commandSchema } from '../../domain/release/contract.js';
import { killViewSchema } from '../../domain/release/view.js';
import { route } from '../route.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/** `POST /v1/kill-switches/{id}:confirm-lift`: another person than the one who asked; the switch goes off. */
export const postKillSwitchConfirmLift = (deps: ReleaseRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/kill-switches/{id}:confirm-lift',
    operation: 'kill-switches.confirm-lift',
    summary: 'Lift a kill switch',
    permission: 'incidents:lift-kill',
    params: z.strictObject({ id: killSwitchIdSchema }),
    body: commandSchema,
    response: { status: 200, schema: killViewSchema, description: 'The switch afterwards.' },
    problems: ['NOT_FOUND', 'ILLEGAL_TRANSITION', 'SEPARATION_OF_DUTIES'],
    example: {
      params: { id: 'kil_01KAJ4Y4G0000000000000000' },
      body: { reason: 'the cause is fixed' },
    },
    handle: ({ caller, principal, params, body }) =>
      deps.confirmLift(caller, { env: principal.env, killId: params.id, reason: body.reason }),
  });
