import { PlatformError } from '../../domain/errors.js';
import { patchVersionSchema, versionViewSchema } from '../../domain/registry/contract.js';
import { pointerOf } from '../problem.js';
import { route } from '../route.js';
import type { RegistryRouteDeps } from './registry-route-deps.js';
import { versionParams } from './version-params.js';

/** `PATCH /v1/models/{model}/versions/{version}`: annotations, and nothing else. */
export const patchModelVersion = (deps: RegistryRouteDeps) =>
  route({
    method: 'patch',
    path: '/v1/models/{model}/versions/{version}',
    operation: 'versions.annotate',
    summary: 'Annotate a version',
    description: 'Every earlier value stays in the audit entries of the version.',
    permission: 'registry:register',
    params: versionParams,
    body: patchVersionSchema,
    response: { status: 200, schema: versionViewSchema, description: 'The version.' },
    problems: ['VERSION_IMMUTABLE'],
    example: {
      params: { model: 'credit', version: 1 },
      body: { annotations: { ticket: 'RISK-412', obsolete: null } },
    },
    handle: ({ caller, params, body }) => {
      const fixed = Object.keys(body).filter((key) => key !== 'annotations');
      if (fixed.length > 0)
        throw new PlatformError('VERSION_IMMUTABLE', 'A version is immutable.', {
          errors: fixed.map((key) => ({ pointer: pointerOf([key]), code: 'VERSION_IMMUTABLE' })),
        });
      return deps.annotateVersion(caller, params, body.annotations ?? {});
    },
  });
