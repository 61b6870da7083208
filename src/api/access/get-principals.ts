import { z } from 'zod';
import { principalViewSchema } from '../../domain/access/contract.js';
import { principalIdSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { AccessRouteDeps } from './access-route-deps.js';

const FILTER = { list: 'principals' };

/** `GET /v1/principals`: who can hold a key, newest first. */
export const getPrincipals = (deps: AccessRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/principals',
    operation: 'principals.list',
    summary: 'List principals',
    permission: 'access:read',
    query: z.strictObject(pageQuery),
    response: { status: 200, schema: pageOf(principalViewSchema), description: 'A page.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { limit: 20 } },
    handle: async ({ principal, query }) => {
      const page = readPage(query, FILTER, principalIdSchema);
      const found = await deps.listPrincipals(principal.tenant, page);
      const body = writePage(found, page, { filter: FILTER, keyOf: ({ id }) => id });
      return { status: 200, body };
    },
  });
