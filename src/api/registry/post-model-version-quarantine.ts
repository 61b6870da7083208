import { versionReasonSchema, versionViewSchema } from '../../domain/registry/contract.js';
import { route } from '../route.js';
import type { RegistryRouteDeps } from './registry-route-deps.js';
import { versionParams } from './version-params.js';

/** `POST /v1/models/{model}/versions/{version}:quarantine`: refused while the version is ACTIVE anywhere. */
export const postModelVersionQuarantine = (deps: RegistryRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/models/{model}/versions/{version}:quarantine',
    operation: 'versions.quarantine',
    summary: 'Quarantine a version',
    description:
      'It is served and released no more until an approver returns it to EVALUATED. Refused while it is ACTIVE.',
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
      deps.withdrawVersion(caller, params, { to: 'QUARANTINED', reason: body.reason }),
  });
