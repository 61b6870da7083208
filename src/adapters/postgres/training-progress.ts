import { PlatformError } from '../../domain/errors.js';
import type { Caller, Change } from '../../domain/events/change.js';
import {
  isFinalTrainingState,
  trainingPlanSchema,
  trainingResultSchema,
  type RunFailure,
  type TrainingPlan,
  type TrainingResult,
} from '../../domain/training/contract.js';
import { checkSnapshotUse } from '../../domain/training/plan-training.js';
import type {
  Admission,
  RunEnd,
  RunFacts,
  RunOutcome,
  RunProgress,
  TrainingStage,
} from '../../domain/training/run-facts.js';
import type { CheckpointRef } from '../../domain/training/trainer.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import type { Prisma, TrainingRun } from './generated/client.js';
import { readSnapshot } from './training-ground.js';
import { lockRun } from './training.js';

const json = (value: unknown): Prisma.InputJsonValue => value as Prisma.InputJsonValue;

/** Why the snapshots of a run may no longer be used; undefined where they may. */
export async function findSnapshotRefusal(
  tx: Tx,
  tenant: string,
  plan: Pick<TrainingPlan, 'snapshotId' | 'evaluationSnapshotId' | 'purpose'>,
): Promise<RunFailure | undefined> {
  const ids = { snapshotId: plan.snapshotId, evaluationSnapshotId: plan.evaluationSnapshotId };
  for (const [field, id] of Object.entries(ids)) {
    if (id === undefined) continue;
    const snapshot = (await readSnapshot(tx, tenant, id)) ?? {
      snapshotId: id,
      state: 'DELETED',
      purposes: [],
    };
    const refused = checkSnapshotUse(snapshot, { purpose: plan.purpose, pointer: `/${field}` });
    if (refused !== undefined)
      return { code: refused.code, message: refused.message, errors: refused.errors };
  }
  return undefined;
}

async function readFacts(tx: Tx, tenant: string, row: TrainingRun): Promise<RunFacts> {
  const plan = trainingPlanSchema.parse(row.input);
  const [clock] = await tx.$queryRaw<{ elapsed: number | null }[]>`
    select (extract(epoch from clock_timestamp() - started_at) * 1000)::float8 as elapsed
    from training_run where tenant_id = ${tenant} and run_id = ${row.runId}`;
  const snapshot = await readSnapshot(tx, tenant, plan.snapshotId);
  if (snapshot === undefined) throw new PlatformError('NOT_FOUND', 'The snapshot is gone.');
  return {
    runId: row.runId,
    plan,
    requestedBy: row.requestedBy,
    state: row.state,
    elapsedMs: Math.max(0, clock?.elapsed ?? 0),
    snapshot,
    evaluationSnapshot: await readSnapshot(tx, tenant, plan.evaluationSnapshotId),
    result: trainingResultSchema.parse(row.result ?? {}),
  };
}

const order: readonly string[] = [
  'QUEUED',
  'ADMITTED',
  'RUNNING',
  'EVALUATING_HOLDOUT',
  'PACKAGING',
];

const unchanged = <B>(body: B): Change<B> => ({ status: 200, body, audit: [] });

/** QUEUED → ADMITTED, if nobody cancelled and the snapshots may still be used; else says why not. */
const admitRun =
  (db: Database) =>
  async (caller: Caller, runId: string): Promise<Admission> => {
    const { body } = await mutate<Admission>(db, caller, async (tx) => {
      const row = await lockRun(tx, caller.tenant, runId);
      if (row.cancel !== null) return unchanged<Admission>({ kind: 'CANCELLED' });
      const plan = trainingPlanSchema.parse(row.input);
      const failure = await findSnapshotRefusal(tx, caller.tenant, plan);
      if (failure !== undefined) return unchanged<Admission>({ kind: 'REFUSED', failure });
      if (row.state !== 'QUEUED') return unchanged<Admission>({ kind: 'ADMITTED' });
      await tx.trainingRun.update({
        where: { tenantId_runId: { tenantId: caller.tenant, runId } },
        data: { state: 'ADMITTED' },
      });
      return {
        status: 200,
        body: { kind: 'ADMITTED' },
        audit: {
          action: 'training.admitted',
          resource: { type: 'training-run', id: runId },
          before: { state: 'QUEUED' },
          after: { state: 'ADMITTED' },
        },
      };
    });
    return body;
  };

/**
 * Moves a run forward to a stage and answers its facts; a run that is already there or further stays. The first
 * RUNNING sets the time that the wall clock counts from.
 * @throws ILLEGAL_TRANSITION where the run is over
 */
const enterStage =
  (db: Database) =>
  (caller: Caller, runId: string, stage: TrainingStage): Promise<RunFacts> =>
    mutate(db, caller, async (tx) => {
      const row = await lockRun(tx, caller.tenant, runId);
      if (isFinalTrainingState(row.state))
        throw new PlatformError('ILLEGAL_TRANSITION', `The run is ${row.state}.`, {
          extensions: { from: row.state, to: stage, allowed: [] },
        });
      const moves = order.indexOf(row.state) < order.indexOf(stage);
      if (moves) {
        await tx.$executeRaw`update training_run
        set state = ${stage}, started_at = coalesce(started_at, clock_timestamp())
        where tenant_id = ${caller.tenant} and run_id = ${runId}`;
      }
      const facts = await readFacts(tx, caller.tenant, moves ? { ...row, state: stage } : row);
      return {
        status: 200,
        body: facts,
        audit: moves
          ? {
              action: `training.${stage.toLowerCase()}`,
              resource: { type: 'training-run', id: runId },
              before: { state: row.state },
              after: { state: stage },
            }
          : [],
      };
    }).then(({ body }) => body);

/** Writes metric points, a checkpoint row and log lines; what is already there stays as it is. */
const recordProgress =
  (db: Database) =>
  (tenant: string, runId: string, progress: RunProgress): Promise<void> =>
    db.withTenant(tenant, async (tx) => {
      const { metrics = [], checkpoint, lines = [], attempt } = progress;
      if (metrics.length > 0)
        await tx.trainingMetric.createMany({
          data: metrics.map((point) => ({ tenantId: tenant, runId, ...point })),
          skipDuplicates: true,
        });
      if (checkpoint !== undefined)
        await tx.trainingCheckpoint.createMany({
          data: [{ tenantId: tenant, runId, attempt, ...checkpoint }],
          skipDuplicates: true,
        });
      if (lines.length === 0) return;
      const last = await tx.trainingLog.aggregate({
        where: { tenantId: tenant, runId },
        _max: { seq: true },
      });
      const first = (last._max.seq ?? 0) + 1;
      await tx.trainingLog.createMany({
        data: lines.map((line, at) => ({ tenantId: tenant, runId, seq: first + at, line })),
        skipDuplicates: true,
      });
    });

/** Checkpoints of a run, newest first. */
const listCheckpoints =
  (db: Database) =>
  (tenant: string, runId: string): Promise<CheckpointRef[]> =>
    db.withTenant(tenant, async (tx) => {
      // A checkpoint is entered before the metrics of its steps: after a kill in between it would leave a gap in them.
      const { _max: recorded } = await tx.trainingMetric.aggregate({
        where: { tenantId: tenant, runId },
        _max: { step: true },
      });
      const rows = await tx.trainingCheckpoint.findMany({
        where: { tenantId: tenant, runId, step: { lte: recorded.step ?? 0 } },
        orderBy: { step: 'desc' },
      });
      return rows.map(({ step, ref, sha256 }) => ({ step, ref, sha256 }));
    });

/** Forgets a checkpoint whose bytes do not match, so that the step can be written again. */
const dropCheckpoint =
  (db: Database) =>
  (tenant: string, runId: string, step: number): Promise<void> =>
    db.withTenant(tenant, async (tx) => {
      await tx.trainingCheckpoint.deleteMany({ where: { tenantId: tenant, runId, step } });
    });

/** Adds what a stage has measured to the result of the run. */
const recordResult =
  (db: Database) =>
  (tenant: string, runId: string, result: TrainingResult): Promise<void> =>
    db.withTenant(tenant, async (tx) => {
      await tx.$executeRaw`update training_run
      set result = coalesce(result, '{}'::jsonb) || ${json(result)}::jsonb
      where tenant_id = ${tenant} and run_id = ${runId}`;
    });

/** True where someone asked to cancel the run. */
const isCancelRequested =
  (db: Database) =>
  (tenant: string, runId: string): Promise<boolean> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.trainingRun.findUnique({
        where: { tenantId_runId: { tenantId: tenant, runId } },
        select: { cancel: true },
      });
      return row !== null && row.cancel !== null;
    });

/** Ends a run without a version; a run that is already over keeps its end, which is answered. */
const settleRun =
  (db: Database) =>
  async (caller: Caller, runId: string, end: RunEnd): Promise<RunOutcome> => {
    const { body } = await mutate<RunOutcome>(db, caller, async (tx) => {
      const row = await lockRun(tx, caller.tenant, runId);
      if (isFinalTrainingState(row.state))
        return unchanged<RunOutcome>({ state: row.state, version: row.version ?? undefined });
      const { state, failure } = end;
      const code = failure === undefined ? {} : { code: failure.code };
      await tx.trainingRun.update({
        where: { tenantId_runId: { tenantId: caller.tenant, runId } },
        data: { state, endedAt: new Date(), ...(failure ? { failure: json(failure) } : {}) },
      });
      const verb = state.toLowerCase();
      return {
        status: 200,
        body: { state },
        events: [
          {
            type: `anneal.training.${verb}.v1`,
            subject: `training-runs/${runId}`,
            data: { runId, model: row.model, state, ...code },
          },
        ],
        audit: {
          action: `training.${verb}`,
          resource: { type: 'training-run', id: runId },
          before: { state: row.state },
          after: { state, ...code },
        },
      };
    });
    return body;
  };

/** Training runs as their workflow drives them (role anneal_worker). Every function may be repeated. */
export const createTrainingProgressStore = (db: Database) => ({
  admitRun: admitRun(db),
  enterStage: enterStage(db),
  recordProgress: recordProgress(db),
  listCheckpoints: listCheckpoints(db),
  dropCheckpoint: dropCheckpoint(db),
  recordResult: recordResult(db),
  isCancelRequested: isCancelRequested(db),
  settleRun: settleRun(db),
});
