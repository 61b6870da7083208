import { whoAmISchema } from '../../domain/access/contract.js';
import { route } from '../route.js';

/** `GET /v1/me`: who the caller is and what the key allows. */
export const getMe = () =>
  route({
    method: 'get',
    path: '/v1/me',
    operation: 'me.get',
    summary: 'Show the caller, its roles and its permissions',
    permission: 'any',
    response: { status: 200, schema: whoAmISchema, description: 'The caller.' },
    problems: [],
    example: {},
    handle: async ({ principal }) => {
      const { tenant, subject: id, name, kind, roles, groups, env, via } = principal;
      const permissions = [...principal.permissions].sort();
      const body = { tenant, id, name, kind, roles, groups, permissions, env, via };
      return { status: 200, body };
    },
  });
