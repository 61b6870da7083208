import { PlatformError } from '../../domain/errors.js';
import { startReleaseSchema } from '../../domain/release/contract.js';
import { planOf } from '../../domain/release/plan-digest.js';
import { isFinalRelease } from '../../domain/release/transitions.js';
import { unsupportedPlanFields } from '../../domain/release/unsupported-plan.js';
import { releaseViewSchema } from '../../domain/release/view.js';
import { route } from '../route.js';
import { started, startedSchema } from '../started.js';
import { waitUntil } from '../wait-until.js';
import { readRelease } from './read-release.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';
import { targetOf, targetParams } from './target-params.js';

/** `POST /v1/models/{model}/envs/{env}/releases`: starts `rollOutRelease` with the plan that was approved. */
export const postReleases = (deps: ReleaseRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/models/{model}/envs/{env}/releases',
    operation: 'releases.create',
    summary: 'Release an approved version',
    description:
      'The plan must be the approved one. One release runs per target; `supersede` rolls a running one back first.',
    permission: 'release:start',
    params: targetParams,
    body: startReleaseSchema,
    response: { status: 202, schema: startedSchema, description: 'The release has begun.' },
    problems: [
      'MODEL_NOT_FOUND',
      'NOT_FOUND',
      'PLAN_UNSUPPORTED',
      'PLAN_CHANGED',
      'APPROVAL_INVALID',
      'SEPARATION_OF_DUTIES',
      'VERSION_NOT_RELEASABLE',
      'VERSION_BARRED',
      'RELEASE_IN_PROGRESS',
    ],
    example: {
      params: { model: 'credit', env: 'prod' },
      body: {
        version: 7,
        approvalId: 'apr_01KAJ4Y4G0000000000000000',
        strategy: 'blue_green',
        shadow: { minPairs: 50, minDurationMs: 5000, maxDurationMs: 60000 },
        bakeMs: 5000,
      },
    },
    handle: async ({ caller, principal, params, body }) => {
      const target = targetOf(principal, params);
      const plan = planOf(body);
      const errors = unsupportedPlanFields(plan);
      if (errors.length > 0) {
        throw new PlatformError('PLAN_UNSUPPORTED', 'The plan asks for more than is here.', {
          errors,
        });
      }
      const { version, approvalId, supersede, reason } = body;
      const outcome = await deps.createRelease(caller, {
        target,
        version,
        approvalId,
        plan,
        supersede,
        reason: reason ?? `release of v${version}`,
        maxHistoryEvents: deps.maxHistoryEvents,
      });
      return started(outcome, `/v1/releases/${outcome.body.id}`, deps.links);
    },
    wait: waitUntil({
      schema: releaseViewSchema,
      read: (principal, id) => readRelease(deps, principal, id),
      isFinal: ({ state }) => isFinalRelease(state),
    }),
  });
