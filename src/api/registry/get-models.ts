import { z } from 'zod';
import { nameSchema } from '../../domain/ids.js';
import { modelViewSchema } from '../../domain/registry/contract.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { RegistryRouteDeps } from './registry-route-deps.js';

const FILTER = { list: 'models' };

/** `GET /v1/models`: registered models by name. */
export const getModels = (deps: RegistryRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/models',
    operation: 'models.list',
    summary: 'List models',
    permission: 'registry:read',
    query: z.strictObject(pageQuery),
    response: { status: 200, schema: pageOf(modelViewSchema), description: 'A page, by name.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { limit: 20 } },
    handle: async ({ principal, query }) => {
      const page = readPage(query, FILTER, nameSchema);
      const found = await deps.listModels(principal.tenant, page);
      const body = writePage(found, page, { filter: FILTER, keyOf: ({ name }) => name });
      return { status: 200, body };
    },
  });
