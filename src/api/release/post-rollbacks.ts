import { PlatformError } from '../../domain/errors.js';
import { rollBackSchema } from '../../domain/release/contract.js';
import { isFinalRelease } from '../../domain/release/transitions.js';
import { releaseViewSchema } from '../../domain/release/view.js';
import { route } from '../route.js';
import { started, startedSchema } from '../started.js';
import { waitUntil } from '../wait-until.js';
import { readRelease } from './read-release.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';
import { targetOf, targetParams } from './target-params.js';

/** `POST /v1/models/{model}/envs/{env}/rollbacks`: back to a version that was active here; no approval. */
export const postRollbacks = (deps: ReleaseRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/models/{model}/envs/{env}/rollbacks',
    operation: 'rollbacks.create',
    summary: 'Roll back',
    description:
      'Needs `If-Match` with the epoch of the routing. Aborts a running release, or starts one that goes back.',
    permission: 'release:operate',
    params: targetParams,
    body: rollBackSchema,
    response: { status: 202, schema: startedSchema, description: 'The way back has begun.' },
    problems: [
      'MODEL_NOT_FOUND',
      'NOT_FOUND',
      'PRECONDITION_REQUIRED',
      'STALE_EPOCH',
      'ROLLBACK_TARGET_INVALID',
      'RELEASE_IN_PROGRESS',
    ],
    example: {
      params: { model: 'credit', env: 'prod' },
      body: { reason: 'complaints about v7' },
    },
    handle: async ({ caller, principal, params, body, ifMatchEpoch }) => {
      const target = targetOf(principal, params);
      if (ifMatchEpoch === undefined) {
        throw new PlatformError('PRECONDITION_REQUIRED', 'Send the epoch as If-Match.');
      }
      const { toVersion, reason, incidentId } = body;
      const { maxHistoryEvents } = deps;
      const asked = { target, toVersion, epoch: ifMatchEpoch, reason, incidentId };
      const outcome = await deps.createRollback(caller, { ...asked, maxHistoryEvents });
      return started(outcome, `/v1/releases/${outcome.body.id}`, deps.links);
    },
    wait: waitUntil({
      schema: releaseViewSchema,
      read: (principal, id) => readRelease(deps, principal, id),
      isFinal: ({ state }) => isFinalRelease(state),
    }),
  });
