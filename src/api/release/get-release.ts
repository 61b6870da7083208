import { z } from 'zod';
import { releaseIdSchema } from '../../domain/ids.js';
import { releaseViewSchema } from '../../domain/release/view.js';
import { route } from '../route.js';
import { readRelease } from './read-release.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/** `GET /v1/releases/{id}`: where a release stands, and its report: every epoch, step and check. */
export const getRelease = (deps: ReleaseRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/releases/{id}',
    operation: 'releases.get',
    summary: 'Read a release and its report',
    permission: 'release:read',
    params: z.strictObject({ id: releaseIdSchema }),
    response: { status: 200, schema: releaseViewSchema, description: 'The release.' },
    problems: ['NOT_FOUND'],
    example: { params: { id: 'rel_01KAJ4Y4G0000000000000000' } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await readRelease(deps, principal, params.id),
    }),
  });
