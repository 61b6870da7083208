import { z } from 'zod';
import { nameSchema, releaseIdSchema } from '../../domain/ids.js';
import { releaseStates } from '../../domain/release/contract.js';
import { releaseSummarySchema } from '../../domain/release/view.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/** `GET /v1/releases`: those of the key's environment, newest first. */
export const getReleases = (deps: ReleaseRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/releases',
    operation: 'releases.list',
    summary: 'List releases',
    permission: 'release:read',
    query: z.strictObject({
      model: nameSchema.optional(),
      state: z.enum(releaseStates).optional(),
      ...pageQuery,
    }),
    response: { status: 200, schema: pageOf(releaseSummarySchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { model: 'credit', state: 'PAUSED' } },
    handle: async ({ principal, query }) => {
      const { tenant, env } = principal;
      const filter = { env, model: query.model, state: query.state };
      const bound = { list: 'releases', env, model: query.model ?? '', state: query.state ?? '' };
      const page = readPage(query, bound, releaseIdSchema);
      const found = await deps.listReleases(tenant, filter, page);
      const written = writePage(found, page, { filter: bound, keyOf: ({ id }) => id });
      return { status: 200, body: written };
    },
  });
