import type {
  ReleaseCheck,
  ReleasePlan,
  ReleaseProgress,
  ReleaseState,
  ReleaseStrategy,
  TargetKind,
} from '../../domain/release/contract.js';
import type { ReleaseMove, ReleaseRecord, StoredProgress } from '../../domain/release/record.js';
import type { Env } from '../../domain/ids.js';
import type { WaitingOn } from '../../domain/search-attributes.js';
import type { Tx } from './database.js';
import type { Prisma } from './generated/client.js';

interface Row {
  release_id: string;
  env: string;
  kind: string;
  name: string;
  version: number;
  strategy: string;
  approval_id: string | null;
  state: string;
  plan: unknown;
  plan_digest: string;
  waiting_on: string;
  reason: string;
  seq: number;
  progress: StoredProgress;
  queued_behind: string | null;
  requested_by: string;
  since_ms: number;
  now_ms: number;
  checks: unknown;
}

function progressOf(row: Row): ReleaseProgress {
  const { progress } = row;
  return {
    state: row.state as ReleaseState,
    seq: row.seq,
    sinceMs: row.since_ms,
    nowMs: row.now_ms,
    waitingOn: row.waiting_on as WaitingOn,
    reason: row.reason,
    queuedBehind: row.queued_behind,
    pausedFrom: progress.pausedFrom ?? null,
    pauseReason: progress.pauseReason ?? null,
    pauseDeadlineMs: progress.pauseDeadlineMs ?? null,
    frozenUntilMs: progress.frozenUntilMs ?? null,
    shadowId: progress.shadowId ?? null,
    movedEpoch: progress.movedEpoch ?? null,
    restoredEpoch: progress.restoredEpoch ?? null,
    promoted: progress.promoted ?? false,
    propagatedMs: progress.propagatedMs ?? null,
    labelsSinceMs: progress.labelsSinceMs ?? null,
    cause: progress.cause ?? null,
    laggards: progress.laggards ?? [],
    checks: (row.checks ?? []) as ReleaseCheck[],
  };
}

/**
 * Reads a release with the database's time. `lock` holds the row until the transaction ends, so that two moves of one
 * release follow each other.
 */
export async function readRelease(
  tx: Tx,
  key: { tenant: string; releaseId: string },
  lock = false,
): Promise<ReleaseRecord | undefined> {
  const { tenant, releaseId } = key;
  if (lock) {
    await tx.$queryRaw`select 1 from release
      where tenant_id = ${tenant} and release_id = ${releaseId} for update`;
  }
  const [row] = await tx.$queryRaw<Row[]>`
    select r.release_id, r.env, r.kind, r.name, r.version, r.strategy, r.approval_id, r.state, r.plan, r.plan_digest,
      r.waiting_on, r.reason, r.seq, r.progress, r.queued_behind, r.requested_by,
      (extract(epoch from s.at) * 1000)::float8 as since_ms,
      (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms, s.checks
    from release r left join release_step s
      on s.tenant_id = r.tenant_id and s.release_id = r.release_id and s.seq = r.seq
    where r.tenant_id = ${tenant} and r.release_id = ${releaseId}`;
  if (row === undefined) return undefined;
  return {
    tenant,
    releaseId: row.release_id,
    env: row.env as Env,
    kind: row.kind as TargetKind,
    name: row.name,
    version: row.version,
    strategy: row.strategy as ReleaseStrategy,
    approvalId: row.approval_id,
    plan: row.plan as ReleasePlan,
    planDigest: row.plan_digest,
    requestedBy: row.requested_by,
    progress: progressOf(row),
    earlier: row.progress.earlier ?? null,
  };
}

/** A move as it is written: with its author and, where it moved the pointer, the epoch. */
export type StepChange = ReleaseMove & { tenant: string; actor: string; epoch?: number };

/** Writes the move; false where the release is no longer at `expectedSeq`. */
export async function writeStep(tx: Tx, change: StepChange): Promise<boolean> {
  const { tenant, releaseId, machine, checks = [], waitingOn = 'nothing' } = change;
  const patch: StoredProgress = {
    ...change.patch,
    pausedFrom: machine.pausedFrom,
    pauseReason: machine.pauseReason,
    cause: machine.cause,
    ...(change.epoch === undefined ? {} : { movedEpoch: change.epoch }),
  };
  const failure = change.failure === undefined ? null : JSON.stringify(change.failure);
  const moved = await tx.$executeRaw`
    update release set state = ${machine.state}, seq = seq + 1, reason = ${change.reason}, waiting_on = ${waitingOn},
      progress = progress || ${JSON.stringify(patch)}::jsonb, failure = coalesce(${failure}::jsonb, failure),
      updated_at = clock_timestamp()
    where tenant_id = ${tenant} and release_id = ${releaseId} and seq = ${change.expectedSeq} and ended_at is null`;
  if (moved === 0) return false;
  await tx.releaseStep.create({
    data: {
      tenantId: tenant,
      releaseId,
      seq: change.expectedSeq + 1,
      state: machine.state,
      epoch: change.epoch ?? null,
      reason: change.reason,
      actor: change.actor,
      checks: checks as unknown as Prisma.InputJsonValue,
    },
  });
  return true;
}

/** Where a version stands in an environment, from now on. */
export async function setDeployment(
  tx: Tx,
  tenant: string,
  deployment: {
    env: string;
    model: string;
    version: number;
    state: 'NONE' | 'SHADOW' | 'ACTIVE' | 'PREVIOUS' | 'ROLLED_BACK';
    /** Text: bars the version. Null: lifts the bar. Absent: leaves it. */
    barred?: string | null;
  },
): Promise<void> {
  const { env, model, version, state, barred } = deployment;
  const wasActive = state === 'ACTIVE';
  await tx.$executeRaw`
    insert into deployment (tenant_id, env, model, version, state, was_active, barred_at, barred_reason)
    values (${tenant}, ${env}, ${model}, ${version}, ${state}, ${wasActive},
      case when ${barred ?? null}::text is null then null else clock_timestamp() end, ${barred ?? null})
    on conflict (tenant_id, env, model, version) do update set state = excluded.state,
      was_active = deployment.was_active or excluded.was_active,
      barred_at = case when ${barred === undefined} then deployment.barred_at else excluded.barred_at end,
      barred_reason = case when ${barred === undefined} then deployment.barred_reason else excluded.barred_reason end,
      updated_at = clock_timestamp()`;
}
