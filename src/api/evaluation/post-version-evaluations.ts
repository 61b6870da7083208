import { z } from 'zod';
import {
  evaluationViewSchema,
  isEvaluationFinal,
  startEvaluationSchema,
  type EvaluationView,
  type StartEvaluation,
} from '../../domain/evaluation/contract.js';
import type { Caller, Outcome, StartedFacts } from '../../domain/events/change.js';
import { nameSchema } from '../../domain/ids.js';
import { versionNumberSchema } from '../../domain/registry/contract.js';
import { route } from '../route.js';
import { started, startedSchema, type Links } from '../started.js';
import { waitUntil } from '../wait-until.js';

export interface PostVersionEvaluationsDeps {
  startEvaluation: (
    caller: Caller,
    request: StartEvaluation & { model: string; version: number; env: string },
  ) => Promise<Outcome<StartedFacts>>;
  findEvaluation: (tenant: string, evaluationId: string) => Promise<EvaluationView>;
  links: Links;
}

/** `POST …/versions/{v}/evaluations`: starts `evaluateVersion` on one snapshot under one policy revision. */
export const postVersionEvaluations = (deps: PostVersionEvaluationsDeps) =>
  route({
    method: 'post',
    path: '/v1/models/{model}/versions/{version}/evaluations',
    operation: 'evaluations.create',
    summary: 'Evaluate a version',
    permission: 'evaluation:run',
    params: z.strictObject({ model: nameSchema, version: versionNumberSchema }),
    body: startEvaluationSchema,
    class: 'batch',
    response: { status: 202, schema: startedSchema, description: 'The evaluation is queued.' },
    problems: ['SNAPSHOT_NOT_LIVE', 'FEATURE_UNKNOWN', 'POLICY_UNKNOWN', 'VERSION_NOT_RELEASABLE'],
    example: {
      params: { model: 'loan-default', version: 1 },
      body: { evaluationSnapshotId: `sha256:${'0'.repeat(64)}`, protectedAttributes: ['sex'] },
    },
    handle: async ({ caller, principal, params, body }) => {
      const request = { ...body, ...params, env: principal.env };
      const outcome = await deps.startEvaluation(caller, request);
      return started(outcome, `/v1/evaluations/${outcome.body.id}`, deps.links);
    },
    wait: waitUntil({
      schema: evaluationViewSchema,
      read: (principal, id) => deps.findEvaluation(principal.tenant, id),
      isFinal: ({ state }) => isEvaluationFinal(state),
    }),
  });
