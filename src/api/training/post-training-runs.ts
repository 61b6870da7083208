import { z } from 'zod';
import { PlatformError } from '../../domain/errors.js';
import { nameSchema } from '../../domain/ids.js';
import {
  isFinalTrainingState,
  startTrainingSchema,
  trainingRunViewSchema,
  type StartTraining,
  type TrainingPlan,
} from '../../domain/training/contract.js';
import { planTraining, type SnapshotGround } from '../../domain/training/plan-training.js';
import { route } from '../route.js';
import { started, startedSchema } from '../started.js';
import { waitUntil } from '../wait-until.js';
import { readRun } from './read-run.js';
import type { SnapshotRow, TrainingFacts, TrainingRouteDeps } from './training-route-deps.js';

async function withProfile(
  deps: TrainingRouteDeps,
  row: SnapshotRow | undefined,
): Promise<SnapshotGround | undefined> {
  return row && { ...row, profile: await deps.readProfile(row.profileRef) };
}

/** The plan of a run. @throws the refusal, with the wrong fields */
const decideWith =
  (deps: TrainingRouteDeps, request: StartTraining) =>
  async (facts: TrainingFacts): Promise<TrainingPlan> => {
    const outcome = planTraining(request, {
      model: facts.model,
      snapshot: await withProfile(deps, facts.snapshot),
      evaluationSnapshot: await withProfile(deps, facts.evaluationSnapshot),
    });
    if (outcome.ok) return outcome.plan;
    const { code, message, errors, extensions } = outcome;
    throw new PlatformError(code, message, { errors, extensions });
  };

/** `POST /v1/models/{model}/training-runs`: starts `trainModel`. */
export const postTrainingRuns = (deps: TrainingRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/models/{model}/training-runs',
    operation: 'training-runs.create',
    summary: 'Start a training run',
    description:
      'Trains on a LIVE snapshot whose purposes cover the model’s, and registers a version. The budget is required.',
    permission: 'training:run',
    params: z.strictObject({ model: nameSchema }),
    body: startTrainingSchema,
    class: 'batch',
    response: { status: 202, schema: startedSchema, description: 'The run is queued.' },
    problems: [
      'MODEL_NOT_FOUND',
      'PURPOSE_DENIED',
      'BUDGET_EXCEEDED',
      'SNAPSHOT_NOT_LIVE',
      'FEATURE_UNKNOWN',
      'SPLIT_INVALID',
      'PARAMETER_INVALID',
      'LABEL_SINGLE_CLASS',
      'TRAINER_UNAVAILABLE',
    ],
    example: {
      params: { model: 'credit' },
      body: {
        snapshotId: `sha256:${'ab12'.repeat(16)}`,
        trainer: { kind: 'gbt', params: { trees: 100 } },
        split: { strategy: 'holdout', fractionsBp: [8000, 2000], salt: '2026' },
        budget: { maxMicroUsd: 0, maxWallClockMs: 600000, maxGpuMs: 0 },
      },
    },
    handle: async ({ caller, params, body }) => {
      const asked = { model: params.model, request: body, limits: deps.limits };
      const outcome = await deps.startRun(caller, asked, decideWith(deps, body));
      return started(outcome, `/v1/training-runs/${outcome.body.id}`, deps.links);
    },
    wait: waitUntil({
      schema: trainingRunViewSchema,
      read: (principal, id) => readRun(deps, principal.tenant, id),
      isFinal: ({ state }) => isFinalTrainingState(state),
    }),
  });
