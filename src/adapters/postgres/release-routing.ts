import { randomBytes } from 'node:crypto';
import type { Env } from '../../domain/ids.js';
import type { Arm } from '../../domain/release/assignment.js';
import type { Target, TargetKind } from '../../domain/release/contract.js';
import {
  killColumn,
  type KillInForce,
  nothingLive,
  type Pointers,
  type RoutingDocument,
  type ShadowCapture,
} from '../../domain/release/routing.js';
import type { RoutingEntry } from '../../domain/release/view.js';
import type { Database, Tx } from './database.js';

interface Row {
  env: string;
  kind: string;
  name: string;
  epoch: number;
  active: number | null;
  previous: number | null;
  arms: Arm[];
  salt: Uint8Array;
  shadow: ShadowCapture[];
  kill: { all: KillInForce[] } | null;
  min_epoch: number;
  release_id: string | null;
}

const documentOf = (row: Row): RoutingDocument => ({
  env: row.env as Env,
  kind: row.kind as TargetKind,
  name: row.name,
  epoch: row.epoch,
  active: row.active,
  previous: row.previous,
  arms: row.arms,
  shadow: row.shadow,
  kills: row.kill?.all ?? [],
  minEpoch: row.min_epoch,
  releaseId: row.release_id,
  salt: Buffer.from(row.salt).toString('base64'),
});

/** The routing row of a target; undefined before its first move. `lock` holds it until the transaction ends. */
export async function readRouting(
  tx: Tx,
  tenant: string,
  target: Target & { lock?: boolean },
): Promise<RoutingDocument | undefined> {
  const { env, kind, name, lock = false } = target;
  if (lock) {
    await tx.$queryRaw`select 1 from routing
      where tenant_id = ${tenant} and env = ${env} and kind = ${kind} and name = ${name} for update`;
  }
  const [row] = await tx.$queryRaw<Row[]>`
    select env, kind, name, epoch, active, previous, arms, salt, shadow, kill, min_epoch, release_id from routing
    where tenant_id = ${tenant} and env = ${env} and kind = ${kind} and name = ${name}`;
  return row === undefined ? undefined : documentOf(row);
}

/** Orders moves of weight (shared) against kill switches (exclusive), also where no routing row exists yet. */
export async function lockKills(
  tx: Tx,
  scope: { tenant: string; env: string },
  exclusive: boolean,
): Promise<void> {
  const key = `kill/${scope.tenant}/${scope.env}`;
  if (exclusive) await tx.$executeRaw`select pg_advisory_xact_lock(hashtextextended(${key}, 0))`;
  else await tx.$executeRaw`select pg_advisory_xact_lock_shared(hashtextextended(${key}, 0))`;
}

/** The kill switches that are on for a target, lifted ones left out. */
export async function killsOf(tx: Tx, tenant: string, target: Target): Promise<KillInForce[]> {
  const rows = await tx.killSwitch.findMany({
    where: {
      tenantId: tenant,
      env: target.env,
      state: { not: 'LIFTED' },
      OR: [{ scope: 'tenant' }, { model: target.name }],
    },
    orderBy: { killId: 'asc' },
  });
  return rows.map((row) => ({
    killId: row.killId,
    scope: row.scope as KillInForce['scope'],
    mode: row.mode as KillInForce['mode'],
    version: row.version,
  }));
}

/** One move of a pointer. */
export interface RoutingMove {
  target: Target;
  /** The epoch that the move was decided on; 0 where no row existed. */
  expectedEpoch: number;
  releaseId: string;
  pointers: Pointers;
  /** Admissions under an older epoch are refused from here on. */
  refuseOlder: boolean;
  move: 'shadow' | 'unshadow' | 'promote' | 'restore';
  actor: string;
  reason: string;
}

/** The history row of the epoch that a target is at now, and the notice to serving processes. */
export async function recordEpoch(
  tx: Tx,
  tenant: string,
  entry: { target: Target; move: string; actor: string; reason: string },
): Promise<void> {
  const { env, kind, name } = entry.target;
  await tx.$executeRaw`
    insert into routing_history (tenant_id, env, kind, name, epoch, document, actor, reason, release_id, at)
    select tenant_id, env, kind, name, epoch,
      jsonb_build_object('active', active, 'previous', previous, 'arms', arms, 'shadow', shadow, 'kill', kill,
        'minEpoch', min_epoch, 'move', ${entry.move}::text), ${entry.actor}, ${entry.reason}, release_id,
      clock_timestamp()
    from routing where tenant_id = ${tenant} and env = ${env} and kind = ${kind} and name = ${name}`;
  await tx.$executeRaw`select pg_notify('routing', ${tenant})`;
}

/**
 * Moves a pointer by compare-and-swap, with its history row and the notice to serving processes, and claims it for the
 * release. Call it under {@link lockKills}.
 * @returns the new epoch, or undefined where the epoch is no longer the expected one or another release holds the row
 */
export async function moveRouting(
  tx: Tx,
  tenant: string,
  move: RoutingMove,
): Promise<number | undefined> {
  const { target, expectedEpoch, releaseId, pointers, refuseOlder } = move;
  const { env, kind, name } = target;
  const arms = JSON.stringify(pointers.arms);
  const shadow = JSON.stringify(pointers.shadow);
  const kill = killColumn(await killsOf(tx, tenant, target));
  const [row] =
    expectedEpoch === 0
      ? await tx.$queryRaw<{ epoch: number }[]>`
          insert into routing (tenant_id, env, kind, name, epoch, active, previous, arms, salt, shadow, kill, min_epoch,
            release_id)
          values (${tenant}, ${env}, ${kind}, ${name}, 1, ${pointers.active}, ${pointers.previous}, ${arms}::jsonb,
            ${randomBytes(32)}, ${shadow}::jsonb, ${kill === null ? null : JSON.stringify(kill)}::jsonb, 1, ${releaseId})
          on conflict do nothing returning epoch`
      : await tx.$queryRaw<{ epoch: number }[]>`
          update routing set epoch = epoch + 1, active = ${pointers.active}, previous = ${pointers.previous},
            arms = ${arms}::jsonb, shadow = ${shadow}::jsonb, release_id = ${releaseId},
            min_epoch = case when ${refuseOlder} then epoch + 1 else min_epoch end, updated_at = clock_timestamp()
          where tenant_id = ${tenant} and env = ${env} and kind = ${kind} and name = ${name}
            and epoch = ${expectedEpoch} and (release_id is null or release_id = ${releaseId})
          returning epoch`;
  if (row === undefined) return undefined;
  await recordEpoch(tx, tenant, move);
  return row.epoch;
}

interface HistoryRow {
  epoch: number;
  document: unknown;
  actor: string;
  reason: string;
  releaseId: string | null;
  at: Date;
}

const entryOf = (row: HistoryRow): RoutingEntry => {
  const document = row.document as Pointers & {
    kill: (KillInForce & { all: KillInForce[] }) | null;
    minEpoch: number;
    move: string;
  };
  const { kill } = document;
  return {
    epoch: row.epoch,
    active: document.active,
    previous: document.previous,
    arms: document.arms,
    shadow: document.shadow,
    kill:
      kill === null
        ? null
        : { killId: kill.killId, scope: kill.scope, mode: kill.mode, version: kill.version },
    minEpoch: document.minEpoch,
    move: document.move,
    actor: row.actor,
    reason: row.reason,
    releaseId: row.releaseId,
    at: row.at.toISOString(),
  };
};

/** Reads of the pointer and its history. */
export const createRoutingStore = (db: Database) => ({
  /** The row as it is now; undefined before the first move. */
  findRouting: (tenant: string, target: Target): Promise<RoutingDocument | undefined> =>
    db.withTenant(tenant, (tx) => readRouting(tx, tenant, target)),
  /** The entry that was in force at `at`, or is now; undefined before the first. */
  findRoutingAt: (
    tenant: string,
    target: Target,
    at: Date | undefined,
  ): Promise<RoutingEntry | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const { env, kind, name } = target;
      const row = await tx.routingHistory.findFirst({
        where: {
          tenantId: tenant,
          env,
          kind,
          name,
          ...(at === undefined ? {} : { at: { lte: at } }),
        },
        orderBy: { epoch: 'desc' },
      });
      return row === null ? undefined : entryOf(row);
    }),
  /** Newest first, strictly below `before`; one more than the limit. */
  listRouting: (
    tenant: string,
    target: Target,
    page: { limit: number; before: number | undefined },
  ): Promise<RoutingEntry[]> =>
    db.withTenant(tenant, async (tx) => {
      const { env, kind, name } = target;
      const rows = await tx.routingHistory.findMany({
        where: {
          tenantId: tenant,
          env,
          kind,
          name,
          ...(page.before === undefined ? {} : { epoch: { lt: page.before } }),
        },
        orderBy: { epoch: 'desc' },
        take: page.limit + 1,
      });
      return rows.map(entryOf);
    }),
});

/** The pointers of a row, or nothing live. */
export const pointersOf = (routing: RoutingDocument | undefined): Pointers =>
  routing ?? nothingLive;
