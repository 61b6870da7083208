import { createKillSchema } from '../../domain/release/contract.js';
import { killViewSchema } from '../../domain/release/view.js';
import { route } from '../route.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/** `POST /v1/kill-switches`: switches a scope off in the key's environment, in one transaction and no workflow. */
export const postKillSwitches = (deps: ReleaseRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/kill-switches',
    operation: 'kill-switches.create',
    summary: 'Switch a tenant, a model or a version off',
    description:
      '`fallback` lets the previous version answer, `fail_closed` nobody. Works while Temporal is down.',
    permission: 'incidents:kill',
    body: createKillSchema,
    response: { status: 201, schema: killViewSchema, description: 'The switch is on.' },
    problems: ['MODEL_NOT_FOUND'],
    example: {
      body: {
        scope: { level: 'version', model: 'credit', version: 7 },
        mode: 'fallback',
        reason: 'wrong refusals reported',
      },
    },
    handle: ({ caller, principal, body }) =>
      deps.createKill(caller, { ...body, env: principal.env }),
  });
