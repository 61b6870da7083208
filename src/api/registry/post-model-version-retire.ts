import { versionReasonSchema, versionViewSchema } from '../../domain/registry/contract.js';
import { route } from '../route.js';
import type { RegistryRouteDeps } from './registry-route-deps.js';
import { versionParams } from './version-params.js';

/** `POST /v1/models/{model}/versions/{version}:retire`: refused while the version is ACTIVE anywhere. */
export const postModelVersionRetire = (deps: RegistryRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/models/{model}/versions/{version}:retire',
    operation: 'versions.retire',
    summary: 'Retire a version',
    description:
      'It is served and released no more; its rows and artifact stay until their retention ends. Refused while it is ACTIVE.',
    permission: 'release:operate',
    params: versionParams,
    body: versionReasonSchema,
    response: { status: 200, schema: versionViewSchema, description: 'The version.' },
    problems: ['ILLEGAL_TRANSITION'],
    example: {
      params: { model: 'credit', version: 1 },
      body: { reason: 'trained on rows that were withdrawn' },
    },
    handle: ({ caller, params, body }) =>
      deps.withdrawVersion(caller, params, { to: 'RETIRED', reason: body.reason }),
  });
