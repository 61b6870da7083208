import { z } from 'zod';
import { PlatformError } from '../../domain/errors.js';
import { shadowIdSchema } from '../../domain/ids.js';
import { shadowViewSchema } from '../../domain/release/view.js';
import { route } from '../route.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/** `GET /v1/shadows/{id}`: counts, verdict, and where champion and candidate differ most. */
export const getShadow = (deps: ReleaseRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/shadows/{id}',
    operation: 'shadows.get',
    summary: 'Read a shadow',
    permission: 'release:read',
    params: z.strictObject({ id: shadowIdSchema }),
    response: { status: 200, schema: shadowViewSchema, description: 'The shadow.' },
    problems: ['NOT_FOUND'],
    example: { params: { id: 'shd_01KAJ4Y4G0000000000000000' } },
    handle: async ({ principal, params }) => {
      const key = { env: principal.env, shadowId: params.id };
      const found = await deps.findShadow(principal.tenant, key);
      if (found === undefined) throw new PlatformError('NOT_FOUND', 'There is no such shadow.');
      return { status: 200, body: found };
    },
  });
