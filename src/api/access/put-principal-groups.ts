import { z } from 'zod';
import { principalViewSchema, setGroupsSchema } from '../../domain/access/contract.js';
import { principalIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { AccessRouteDeps } from './access-route-deps.js';

/** `PUT /v1/principals/{id}/groups`: replaces another principal's groups; what it may read follows at once. */
export const putPrincipalGroups = (deps: AccessRouteDeps) =>
  route({
    method: 'put',
    path: '/v1/principals/{id}/groups',
    operation: 'principals.set-groups',
    summary: 'Replace the groups of a principal',
    description:
      'Access lists of documents name groups. Nobody changes its own; every key follows within 5 s.',
    permission: 'access:write',
    params: z.strictObject({ id: principalIdSchema }),
    body: setGroupsSchema,
    response: { status: 200, schema: principalViewSchema, description: 'The principal.' },
    problems: ['SEPARATION_OF_DUTIES'],
    example: {
      params: { id: 'prn_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      body: { groups: ['staff'] },
    },
    handle: async ({ caller, params, body }) =>
      deps.setGroups(caller, { principalId: params.id, groups: body.groups }),
  });
