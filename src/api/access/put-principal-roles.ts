import { z } from 'zod';
import { principalViewSchema, setRolesSchema } from '../../domain/access/contract.js';
import { principalIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { AccessRouteDeps } from './access-route-deps.js';

/** `PUT /v1/principals/{id}/roles`: replaces another principal's roles; its keys follow at once. */
export const putPrincipalRoles = (deps: AccessRouteDeps) =>
  route({
    method: 'put',
    path: '/v1/principals/{id}/roles',
    operation: 'principals.set-roles',
    summary: 'Replace the roles of a principal',
    description: 'Nobody changes its own roles. Every key of the principal follows within 5 s.',
    permission: 'access:write',
    params: z.strictObject({ id: principalIdSchema }),
    body: setRolesSchema,
    response: { status: 200, schema: principalViewSchema, description: 'The principal.' },
    problems: ['SEPARATION_OF_DUTIES'],
    example: {
      params: { id: 'prn_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      body: { roles: ['ml-engineer', 'viewer'] },
    },
    handle: async ({ caller, params, body }) =>
      deps.setRoles(caller, { principalId: params.id, roles: body.roles }),
  });
