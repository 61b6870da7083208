import { PlatformError } from '../../domain/errors.js';
import { versionViewSchema } from '../../domain/registry/contract.js';
import { route } from '../route.js';
import type { RegistryRouteDeps } from './registry-route-deps.js';
import { versionParams } from './version-params.js';

/** `GET /v1/models/{model}/versions/{version}`: contract, golden rows, metrics, lineage, deployments. */
export const getModelVersion = (deps: RegistryRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/models/{model}/versions/{version}',
    operation: 'versions.get',
    summary: 'Read a version',
    permission: 'registry:read',
    params: versionParams,
    response: { status: 200, schema: versionViewSchema, description: 'The version.' },
    problems: [],
    example: { params: { model: 'credit', version: 1 } },
    handle: async ({ principal, params }) => {
      const body = await deps.findVersion(principal.tenant, params);
      if (body === undefined) throw new PlatformError('NOT_FOUND', 'There is no such version.');
      return { status: 200, body };
    },
  });
