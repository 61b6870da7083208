import { z } from 'zod';
import { PlatformError } from '../../domain/errors.js';
import { routingEntrySchema } from '../../domain/release/view.js';
import { route } from '../route.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';
import { targetOf, targetParams } from './target-params.js';

/** `GET /v1/models/{model}/envs/{env}/routing`: what is live, or was at a time; the epoch is in `ETag` too. */
export const getRouting = (deps: ReleaseRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/models/{model}/envs/{env}/routing',
    operation: 'routing.get',
    summary: 'Read what is live, or was live at a time',
    permission: 'release:read',
    params: targetParams,
    query: z.strictObject({ at: z.iso.datetime({ offset: true }).optional() }),
    response: { status: 200, schema: routingEntrySchema, description: 'The epoch in force.' },
    problems: ['NOT_FOUND'],
    example: { params: { model: 'credit', env: 'prod' } },
    handle: async ({ principal, params, query }) => {
      const target = targetOf(principal, params);
      const at = query.at === undefined ? undefined : new Date(query.at);
      const found = await deps.findRoutingAt(principal.tenant, target, at);
      if (found === undefined) {
        throw new PlatformError('NOT_FOUND', 'Nothing was ever released to this target by then.');
      }
      return { status: 200, body: found, headers: { ETag: `"${found.epoch}"` } };
    },
  });
