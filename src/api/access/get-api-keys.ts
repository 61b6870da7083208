import { z } from 'zod';
import { apiKeyViewSchema } from '../../domain/access/contract.js';
import { apiKeyIdSchema, principalIdSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { AccessRouteDeps } from './access-route-deps.js';

/** `GET /v1/api-keys`: keys of the tenant, newest first, never a secret. */
export const getApiKeys = (deps: AccessRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/api-keys',
    operation: 'api-keys.list',
    summary: 'List API keys',
    permission: 'access:read',
    query: z.strictObject({ ...pageQuery, principalId: principalIdSchema.optional() }),
    response: { status: 200, schema: pageOf(apiKeyViewSchema), description: 'A page.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { limit: 20 } },
    handle: async ({ principal, query }) => {
      const filter = { list: 'api-keys', principalId: query.principalId ?? null };
      const page = readPage(query, filter, apiKeyIdSchema);
      const { principalId } = query;
      const found = await deps.listKeys(principal.tenant, { principalId }, page);
      return { status: 200, body: writePage(found, page, { filter, keyOf: ({ id }) => id }) };
    },
  });
