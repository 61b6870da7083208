import { PlatformError } from '../../domain/errors.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import type { CreateKill, Target, TargetKind } from '../../domain/release/contract.js';
import { releaseWorkflowId } from '../../domain/release/contract.js';
import { judgePropagation } from '../../domain/release/readiness.js';
import { killColumn } from '../../domain/release/routing.js';
import type { KillDetail, KillView } from '../../domain/release/view.js';
import type { Env } from '../../domain/ids.js';
import type { Database, Tx } from './database.js';
import type { KillSwitch } from './generated/client.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import { readLeases } from './release-facts.js';
import { killsOf, lockKills, recordEpoch } from './release-routing.js';

const viewOf = (row: KillSwitch): KillView => ({
  id: row.killId,
  scope: {
    level: row.scope,
    ...(row.model === null ? {} : { model: row.model }),
    ...(row.version === null ? {} : { version: row.version }),
  },
  env: row.env,
  mode: row.mode as KillView['mode'],
  reason: row.reason,
  state: row.state as KillView['state'],
  targets: row.targets as KillView['targets'],
  createdBy: row.createdBy,
  createdAt: row.createdAt.toISOString(),
  liftRequestedBy: row.liftRequestedBy,
  liftedBy: row.liftedBy,
  liftedAt: row.liftedAt?.toISOString() ?? null,
});

/**
 * Writes the switches that are on now to every pointer in scope: an epoch more each, and nothing is admitted under an
 * older one. It asks no release: harm goes first.
 */
async function writeKills(
  tx: Tx,
  tenant: string,
  scope: { env: string; model: string | null; move: string; actor: string; reason: string },
): Promise<KillView['targets']> {
  const { env, model } = scope;
  const rows = await tx.$queryRaw<{ kind: string; name: string }[]>`
    select kind, name from routing where tenant_id = ${tenant} and env = ${env} and kind = 'model'
      and (${model}::text is null or name = ${model}) order by kind, name for update`;
  const targets: KillView['targets'] = [];
  for (const { kind, name } of rows) {
    const target: Target = { env: env as Env, kind: kind as TargetKind, name };
    const kill = killColumn(await killsOf(tx, tenant, target));
    const [moved] = await tx.$queryRaw<{ epoch: number }[]>`
      update routing set kill = ${kill === null ? null : JSON.stringify(kill)}::jsonb, epoch = epoch + 1,
        min_epoch = epoch + 1, updated_at = clock_timestamp()
      where tenant_id = ${tenant} and env = ${env} and kind = ${kind} and name = ${name} returning epoch`;
    if (moved === undefined) continue;
    await recordEpoch(tx, tenant, { ...scope, target });
    targets.push({ kind, name, epoch: moved.epoch });
  }
  return targets;
}

/** Running releases in scope: they look at the switch and pause. */
async function wakesFor(
  tx: Tx,
  tenant: string,
  scope: { env: string; model: string | null; factId: string },
) {
  const running = await tx.release.findMany({
    where: {
      tenantId: tenant,
      env: scope.env,
      endedAt: null,
      queuedBehind: null,
      ...(scope.model === null ? {} : { name: scope.model }),
    },
    select: { releaseId: true },
  });
  return running.map(({ releaseId }) => ({
    factId: `${scope.factId}/${releaseId}`,
    workflowId: releaseWorkflowId(tenant, releaseId),
  }));
}

const createKill =
  (db: Database) =>
  (caller: Caller, request: CreateKill & { env: string }): Promise<Outcome<KillView>> =>
    mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const { env, scope, mode, reason } = request;
      const model = scope.level === 'tenant' ? null : scope.model;
      const version = scope.level === 'version' ? scope.version : null;
      const known =
        model === null ||
        (version === null
          ? await tx.registeredModel.findFirst({ where: { name: model } })
          : await tx.modelVersion.findFirst({ where: { model, version } })) !== null;
      if (!known) throw new PlatformError('MODEL_NOT_FOUND', 'There is no such model or version.');
      const actor = caller.actor.subject;
      await lockKills(tx, { tenant, env }, true);
      const killId = newId('killSwitch');
      const head = { tenantId: tenant, killId, scope: scope.level, env, model, version };
      const data = { ...head, mode, reason, state: 'ACTIVE', createdBy: actor };
      await tx.killSwitch.create({ data });
      const targets = await writeKills(tx, tenant, { env, model, move: 'kill', actor, reason });
      const row = await tx.killSwitch.update({
        where: { tenantId_killId: { tenantId: tenant, killId } },
        data: { targets: targets },
      });
      return {
        status: 201,
        body: viewOf(row),
        audit: {
          action: 'release.killed',
          resource: { type: 'kill-switch', id: killId },
          after: { scope, mode, env, targets },
          reason,
        },
        events: [
          {
            type: 'anneal.release.killed.v1',
            subject: killId,
            data: { env, scope, mode, targets },
          },
        ],
        wakes: await wakesFor(tx, tenant, { env, model, factId: killId }),
      };
    });

async function lockedKill(
  tx: Tx,
  key: { tenant: string; env: string; killId: string },
): Promise<KillSwitch> {
  const { tenant, env, killId } = key;
  await lockKills(tx, { tenant, env }, true);
  const row = await tx.killSwitch.findFirst({ where: { tenantId: tenant, killId, env } });
  if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such kill switch.');
  return row;
}

const illegal = (from: string, to: string, allowed: string[]) =>
  new PlatformError('ILLEGAL_TRANSITION', `The kill switch is ${from}.`, {
    extensions: { from, to, allowed },
  });

const requestLift =
  (db: Database) =>
  (
    caller: Caller,
    request: { env: string; killId: string; reason: string },
  ): Promise<Outcome<KillView>> =>
    mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const row = await lockedKill(tx, { tenant, ...request });
      if (row.state !== 'ACTIVE') throw illegal(row.state, 'LIFT_REQUESTED', ['confirm-lift']);
      const after = await tx.killSwitch.update({
        where: { tenantId_killId: { tenantId: tenant, killId: row.killId } },
        data: { state: 'LIFT_REQUESTED', liftRequestedBy: caller.actor.subject },
      });
      return {
        status: 200,
        body: viewOf(after),
        audit: {
          action: 'release.lift_requested',
          resource: { type: 'kill-switch', id: row.killId },
          reason: request.reason,
        },
      };
    });

const confirmLift =
  (db: Database) =>
  (
    caller: Caller,
    request: { env: string; killId: string; reason: string },
  ): Promise<Outcome<KillView>> =>
    mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const { env, reason } = request;
      const row = await lockedKill(tx, { tenant, ...request });
      if (row.state !== 'LIFT_REQUESTED') throw illegal(row.state, 'LIFTED', ['request-lift']);
      const actor = caller.actor.subject;
      if (row.liftRequestedBy === actor) {
        throw new PlatformError(
          'SEPARATION_OF_DUTIES',
          'Another person than the one who asked has to confirm the lift.',
        );
      }
      const after = await tx.killSwitch.update({
        where: { tenantId_killId: { tenantId: tenant, killId: row.killId } },
        data: { state: 'LIFTED', liftedBy: actor, liftedAt: new Date() },
      });
      const { model } = row;
      const targets = await writeKills(tx, tenant, { env, model, move: 'lift', actor, reason });
      return {
        status: 200,
        body: viewOf(after),
        audit: {
          action: 'release.kill_lifted',
          resource: { type: 'kill-switch', id: row.killId },
          after: { targets },
          reason,
        },
        events: [
          { type: 'anneal.release.kill_lifted.v1', subject: row.killId, data: { env, targets } },
        ],
        wakes: await wakesFor(tx, tenant, { env, model, factId: `${row.killId}/lift` }),
      };
    });

/** Kill switches: one Postgres transaction each, no workflow in the way. */
export const createKillStore = (db: Database) => ({
  createKill: createKill(db),
  requestLift: requestLift(db),
  confirmLift: confirmLift(db),
  /** A switch with the processes that do not hold it yet, per pointer. */
  findKill: (
    tenant: string,
    key: { env: string; killId: string },
  ): Promise<KillDetail | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.killSwitch.findFirst({ where: { tenantId: tenant, ...key } });
      if (row === null) return undefined;
      const view = viewOf(row);
      const laggards: string[] = [];
      for (const { kind, name, epoch } of view.targets) {
        const target: Target = { env: row.env as Env, kind: kind as TargetKind, name };
        const found = judgePropagation(await readLeases(tx, tenant, target), epoch).laggards;
        laggards.push(...found.map((laggard) => `${name}: ${laggard}`));
      }
      return { ...view, laggards };
    }),
  /** Newest first by id, strictly below `after`; one more than the limit. */
  listKills: (
    tenant: string,
    filter: { env: string; state?: string | undefined },
    page: { limit: number; after: string | undefined },
  ): Promise<KillView[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.killSwitch.findMany({
        where: {
          tenantId: tenant,
          env: filter.env,
          ...(filter.state === undefined ? {} : { state: filter.state }),
          ...(page.after === undefined ? {} : { killId: { lt: page.after } }),
        },
        orderBy: { killId: 'desc' },
        take: page.limit + 1,
      });
      return rows.map(viewOf);
    }),
});
