import { z } from 'zod';
import { killSwitchIdSchema } from '../../domain/ids.js';
import { killStates, killViewSchema } from '../../domain/release/view.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/** `GET /v1/kill-switches`: those of the key's environment, newest first. */
export const getKillSwitches = (deps: ReleaseRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/kill-switches',
    operation: 'kill-switches.list',
    summary: 'List kill switches',
    permission: 'release:read',
    query: z.strictObject({ state: z.enum(killStates).optional(), ...pageQuery }),
    response: { status: 200, schema: pageOf(killViewSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { state: 'ACTIVE' } },
    handle: async ({ principal, query }) => {
      const { tenant, env } = principal;
      const bound = { list: 'kill-switches', env, state: query.state ?? '' };
      const page = readPage(query, bound, killSwitchIdSchema);
      const filter = { env, state: query.state };
      const found = await deps.listKills(tenant, filter, page);
      const written = writePage(found, page, { filter: bound, keyOf: ({ id }) => id });
      return { status: 200, body: written };
    },
  });
