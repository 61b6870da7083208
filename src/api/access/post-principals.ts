import { createPrincipalSchema, principalViewSchema } from '../../domain/access/contract.js';
import { route } from '../route.js';
import type { AccessRouteDeps } from './access-route-deps.js';

/** `POST /v1/principals`: a person or a service, with its roles. */
export const postPrincipals = (deps: AccessRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/principals',
    operation: 'principals.create',
    summary: 'Create a principal',
    description:
      'A service never holds approver, privacy-officer, tenant-admin or platform-operator; nobody holds config-admin and auditor together.',
    permission: 'access:write',
    body: createPrincipalSchema,
    response: { status: 201, schema: principalViewSchema, description: 'The principal.' },
    problems: ['ALREADY_EXISTS'],
    example: { body: { kind: 'person', name: 'Ada', roles: ['ml-engineer'] } },
    handle: async ({ caller, body }) => deps.createPrincipal(caller, body),
  });
