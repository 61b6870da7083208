import { z } from 'zod';
import { requestApprovalSchema, type RequestApproval } from '../../domain/approval/contract.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller, Outcome, StartedFacts } from '../../domain/events/change.js';
import { nameSchema } from '../../domain/ids.js';
import { versionNumberSchema } from '../../domain/registry/contract.js';
import { completePlan, releasePlanSchema } from '../../domain/release/contract.js';
import { planDigest } from '../../domain/release/plan-digest.js';
import { fieldErrors } from '../problem.js';
import { route } from '../route.js';
import { started, startedSchema, type Links } from '../started.js';

/** A request whose plan is parsed, its defaults filled in, and digested. */
interface ParsedRequest extends RequestApproval {
  model: string;
  version: number;
  planDigest: string;
  hasShadowStage: boolean;
}

export interface PostApprovalRequestsDeps {
  requestApproval: (caller: Caller, request: ParsedRequest) => Promise<Outcome<StartedFacts>>;
  links: Links;
}

function parsePlan(plan: unknown) {
  const parsed = releasePlanSchema.safeParse(plan);
  if (parsed.success) return completePlan(parsed.data);
  const errors = fieldErrors(parsed.error, ['rolloutPlan']);
  throw new PlatformError('INVALID_REQUEST', 'The rollout plan is wrong.', { errors });
}

/** `POST …/versions/{v}/approval-requests`: starts `awaitApproval` for exactly these facts and this plan. */
export const postApprovalRequests = (deps: PostApprovalRequestsDeps) =>
  route({
    method: 'post',
    path: '/v1/models/{model}/versions/{version}/approval-requests',
    operation: 'approvals.request',
    summary: 'Request an approval of a version',
    permission: 'approval:request',
    params: z.strictObject({ model: nameSchema, version: versionNumberSchema }),
    body: requestApprovalSchema,
    response: { status: 202, schema: startedSchema, description: 'People can decide now.' },
    problems: ['NOT_APPROVABLE', 'RUN_IN_PROGRESS', 'VERSION_NOT_RELEASABLE'],
    example: {
      params: { model: 'loan-default', version: 1 },
      body: {
        env: 'prod',
        evaluationId: 'evl_01KAJ4Y4G0000000000000000',
        rolloutPlan: { strategy: 'blue_green', steps: [] },
        comment: 'First version.',
      },
    },
    handle: async ({ caller, principal, params, body }) => {
      if (principal.env !== body.env) {
        throw new PlatformError('NOT_FOUND', 'There is no such environment for this key.');
      }
      const plan = parsePlan(body.rolloutPlan);
      const request = {
        ...body,
        ...params,
        rolloutPlan: { ...plan },
        planDigest: planDigest(plan),
        hasShadowStage: plan.shadow !== undefined,
      };
      const outcome = await deps.requestApproval(caller, request);
      return started(outcome, `/v1/approvals/${outcome.body.id}`, deps.links);
    },
  });
