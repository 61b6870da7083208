import { PlatformError } from '../../domain/errors.js';
import type { StartRequest } from '../../domain/events/contract.js';
import type { Caller, Outcome, StartedFacts } from '../../domain/events/change.js';
import type { LabelValue } from '../../domain/registry/contract.js';
import {
  isFinalTrainingState,
  runFailureSchema,
  trainingPlanSchema,
  trainingResultSchema,
  trainingRunViewSchema,
  trainingWorkflowId,
  type StartTraining,
  type TrainingLimits,
  type TrainingLogView,
  type TrainingMetricView,
  type TrainingPlan,
  type TrainingRunView,
} from '../../domain/training/contract.js';
import { maxStepsOf } from '../../domain/training/trainer-params.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import type { Prisma, TrainingRun } from './generated/client.js';
import { readSnapshot, type SnapshotRow } from './training-ground.js';

/** What is there when a run is asked for, as the decision about it needs it. */
export interface TrainingFacts {
  model:
    | {
        name: string;
        purpose: string;
        riskClass: string;
        outcome: { type: string; labels?: LabelValue[] };
        versions: number;
      }
    | undefined;
  snapshot: SnapshotRow | undefined;
  evaluationSnapshot: SnapshotRow | undefined;
}

const json = (value: unknown): Prisma.InputJsonValue => value as Prisma.InputJsonValue;
const time = (value: Date | null): string | undefined => value?.toISOString();

async function readFacts(
  tx: Tx,
  tenant: string,
  asked: { model: string; request: StartTraining },
): Promise<TrainingFacts> {
  const { snapshotId, evaluationSnapshotId } = asked.request;
  const row = await tx.registeredModel.findUnique({
    where: { tenantId_name: { tenantId: tenant, name: asked.model } },
  });
  const model = row
    ? {
        name: row.name,
        purpose: row.purpose,
        riskClass: row.riskClass,
        outcome: row.outcome as { type: string; labels?: LabelValue[] },
        versions: row.nextVersion - 1,
      }
    : undefined;
  return {
    model,
    snapshot: await readSnapshot(tx, tenant, snapshotId),
    evaluationSnapshot: await readSnapshot(tx, tenant, evaluationSnapshotId),
  };
}

/** `sha256:ab12…` → `ab12…`: enough for an operator to recognise it. */
const shortDigest = (digest: string): string => `${digest.replace('sha256:', '').slice(0, 4)}…`;

function startOf(
  run: { tenant: string; runId: string; plan: TrainingPlan; riskClass: string },
  limits: TrainingLimits,
): StartRequest {
  const { tenant, runId, plan } = run;
  return {
    workflowId: trainingWorkflowId(tenant, runId),
    workflowType: 'trainModel',
    taskQueue: 'orchestration',
    input: {
      tenant,
      runId,
      model: plan.model,
      trainerKind: plan.trainer.kind,
      maxWallClockMs: plan.budget.maxWallClockMs,
      limits,
    },
    options: {
      summary: `${plan.model} ← snapshot ${shortDigest(plan.snapshotId)} ${plan.trainer.kind}`,
      searchAttributes: {
        Target: plan.model,
        Phase: 'QUEUED',
        WaitingOn: 'capacity',
        RiskClass: run.riskClass,
      },
      priorityKey: 4,
    },
    startedBy: 'api',
  };
}

/** The row of a run as the API answers it. */
function runView(row: TrainingRun): TrainingRunView {
  return trainingRunViewSchema.parse({
    id: row.runId,
    model: row.model,
    state: row.state,
    workflowId: trainingWorkflowId(row.tenantId, row.runId),
    plan: trainingPlanSchema.parse(row.input),
    version: row.version ?? undefined,
    artifactDigest: row.artifactDigest ?? undefined,
    result: row.result === null ? undefined : trainingResultSchema.parse(row.result),
    failure: row.failure === null ? undefined : runFailureSchema.parse(row.failure),
    cancel: row.cancel ?? undefined,
    requestedBy: row.requestedBy,
    createdAt: row.createdAt.toISOString(),
    startedAt: time(row.startedAt),
    endedAt: time(row.endedAt),
  });
}

async function insertRun(
  tx: Tx,
  caller: Caller,
  run: { runId: string; plan: TrainingPlan },
): Promise<void> {
  const { runId, plan } = run;
  await tx.trainingRun.create({
    data: {
      tenantId: caller.tenant,
      runId,
      model: plan.model,
      state: 'QUEUED',
      input: json(plan),
      snapshotId: plan.snapshotId,
      trainerKind: plan.trainer.kind,
      experiment: plan.experiment ?? null,
      requestedBy: caller.actor.subject,
    },
  });
}

/** The run, locked until the transaction ends. @throws NOT_FOUND */
export async function lockRun(tx: Tx, tenant: string, runId: string): Promise<TrainingRun> {
  await tx.$queryRaw`select 1 from training_run
    where tenant_id = ${tenant} and run_id = ${runId} for update`;
  const row = await tx.trainingRun.findUnique({
    where: { tenantId_runId: { tenantId: tenant, runId } },
  });
  if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such training run.');
  return row;
}

/**
 * Writes run, intent, event and audit entry, if `decide` lets the run start; what it throws is the refusal. The same
 * key and body answer the first run.
 */
const startRun =
  (db: Database) =>
  (
    caller: Caller,
    asked: { model: string; request: StartTraining; limits: TrainingLimits },
    decide: (facts: TrainingFacts) => Promise<TrainingPlan>,
  ): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, async (tx) => {
      const facts = await readFacts(tx, caller.tenant, asked);
      const plan = await decide(facts);
      const runId = newId('trainingRun');
      await insertRun(tx, caller, { runId, plan });
      const riskClass = facts.model?.riskClass ?? 'medium';
      const start = startOf({ tenant: caller.tenant, runId, plan, riskClass }, asked.limits);
      const { model, snapshotId, trainer } = plan;
      return {
        status: 202,
        body: { id: runId, workflowId: start.workflowId, status: 'QUEUED' },
        starts: [start],
        events: [
          {
            type: 'anneal.training.requested.v1',
            subject: `training-runs/${runId}`,
            data: { runId, model, snapshotId, trainer: trainer.kind },
          },
        ],
        audit: {
          action: 'training.requested',
          resource: { type: 'training-run', id: runId },
          after: { state: 'QUEUED', plan },
        },
      };
    });

/** One run; undefined where there is none of this id. */
const findRun =
  (db: Database) =>
  (tenant: string, runId: string): Promise<TrainingRunView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.trainingRun.findUnique({
        where: { tenantId_runId: { tenantId: tenant, runId } },
      });
      if (row === null) return undefined;
      const view = runView(row);
      if (view.state !== 'RUNNING') return view;
      const newest = await tx.trainingMetric.aggregate({
        where: { tenantId: tenant, runId },
        _max: { step: true },
      });
      const { step } = newest._max;
      const maxSteps = maxStepsOf(view.plan.trainer);
      return step === null ? view : { ...view, progress: { step, maxSteps } };
    });

/** Runs of a model, newest first; one more than `limit` where there are more. */
const listRuns =
  (db: Database) =>
  (
    tenant: string,
    filter: { model: string; experiment?: string | undefined; state?: string | undefined },
    page: { limit: number; after: string | undefined },
  ): Promise<TrainingRunView[]> =>
    db.withTenant(tenant, async (tx) => {
      const { model, experiment, state } = filter;
      const rows = await tx.trainingRun.findMany({
        where: {
          tenantId: tenant,
          model,
          ...(experiment === undefined ? {} : { experiment }),
          ...(state === undefined ? {} : { state }),
          ...(page.after === undefined ? {} : { runId: { lt: page.after } }),
        },
        orderBy: { runId: 'desc' },
        take: page.limit + 1,
      });
      return rows.map(runView);
    });

/** Metric points by name, then step; `after` is the last point of the page before. */
const listMetrics =
  (db: Database) =>
  (
    tenant: string,
    filter: { runId: string; name?: string | undefined },
    page: { limit: number; after: { name: string; step: number } | undefined },
  ): Promise<TrainingMetricView[]> =>
    db.withTenant(tenant, async (tx) => {
      const after = page.after;
      const rows = await tx.trainingMetric.findMany({
        where: {
          tenantId: tenant,
          runId: filter.runId,
          ...(filter.name === undefined ? {} : { name: filter.name }),
          ...(after === undefined
            ? {}
            : {
                OR: [{ name: { gt: after.name } }, { name: after.name, step: { gt: after.step } }],
              }),
        },
        orderBy: [{ name: 'asc' }, { step: 'asc' }],
        take: page.limit + 1,
      });
      return rows.map(({ name, step, value, at }) => ({ name, step, value, at: at.toISOString() }));
    });

/** Log lines, oldest first, after line `after`. */
const listLogs =
  (db: Database) =>
  (
    tenant: string,
    runId: string,
    page: { limit: number; after: number },
  ): Promise<TrainingLogView[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.trainingLog.findMany({
        where: { tenantId: tenant, runId, seq: { gt: page.after } },
        orderBy: { seq: 'asc' },
        take: page.limit + 1,
      });
      return rows.map(({ seq, line, at }) => ({ seq, line, at: at.toISOString() }));
    });

/**
 * Records that the run shall end without a version, and wakes it. Once this has committed, no version is registered.
 * Asking again changes nothing. @throws NOT_FOUND, ILLEGAL_TRANSITION where the run is over
 */
const requestCancel =
  (db: Database) =>
  (caller: Caller, runId: string, reason: string): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, async (tx) => {
      const row = await lockRun(tx, caller.tenant, runId);
      const workflowId = trainingWorkflowId(caller.tenant, runId);
      const body = { id: runId, workflowId, status: row.state };
      if (row.cancel !== null) return { status: 202, body, audit: [] };
      if (isFinalTrainingState(row.state))
        throw new PlatformError('ILLEGAL_TRANSITION', `The run is ${row.state}.`, {
          extensions: { from: row.state, to: 'CANCELLED', allowed: [] },
        });
      const cancel = { by: caller.actor.subject, reason, at: new Date().toISOString() };
      await tx.trainingRun.update({
        where: { tenantId_runId: { tenantId: caller.tenant, runId } },
        data: { cancel },
      });
      return {
        status: 202,
        body,
        wakes: [{ workflowId, factId: newId('event') }],
        audit: {
          action: 'training.cancel_requested',
          resource: { type: 'training-run', id: runId },
          before: { state: row.state },
          reason,
        },
      };
    });

/** Training runs as the API starts, reads and cancels them (role anneal_api). */
export const createTrainingStore = (db: Database) => ({
  startRun: startRun(db),
  findRun: findRun(db),
  listRuns: listRuns(db),
  listMetrics: listMetrics(db),
  listLogs: listLogs(db),
  requestCancel: requestCancel(db),
});
