import { PlatformError } from '../../domain/errors.js';
import type { Caller, Change } from '../../domain/events/change.js';
import type { ReleaseProgress } from '../../domain/release/contract.js';
import {
  blockingKill,
  promoted,
  restored,
  shadowed,
  type Pointers,
} from '../../domain/release/routing.js';
import type { PointerMove, ReleaseRecord, StoredProgress } from '../../domain/release/record.js';
import { barsVersion, type ReleaseMachine } from '../../domain/release/transitions.js';
import type { ShadowVerdict } from '../../domain/release/shadow-verdict.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import { lockKills, killsOf, moveRouting, pointersOf, readRouting } from './release-routing.js';
import { setDeployment } from './release-row.js';
import { mustRead, stepped, targetOf } from './release-steps.js';

const withdrawn = ['QUARANTINED', 'RETIRED', 'ERASED'];

/** What becomes of the versions of a target when its pointer moves. */
async function deploy(
  tx: Tx,
  record: ReleaseRecord,
  moves: { before: Pointers; after: Pointers; candidate: { barred?: string | null } },
): Promise<void> {
  const { tenant, env, name, version } = record;
  const { before, after, candidate } = moves;
  const place = (v: number, state: Parameters<typeof setDeployment>[2]['state']) =>
    setDeployment(tx, tenant, { env, model: name, version: v, state });
  for (const gone of [before.active, before.previous]) {
    if (gone !== null && gone !== after.active && gone !== after.previous && gone !== version) {
      await place(gone, 'NONE');
    }
  }
  if (after.previous !== null) await place(after.previous, 'PREVIOUS');
  if (after.active !== null) await place(after.active, 'ACTIVE');
  if (after.active === version) {
    await setDeployment(tx, tenant, { env, model: name, version, state: 'ACTIVE', barred: null });
  } else if (after.previous !== version) {
    const state = typeof candidate.barred === 'string' ? 'ROLLED_BACK' : 'NONE';
    await setDeployment(tx, tenant, { env, model: name, version, state, ...candidate });
  }
}

/** The pointers of a rollback: the version, with what stood behind it when it was last active. */
async function rolledBackTo(tx: Tx, record: ReleaseRecord, now: Pointers): Promise<Pointers> {
  const { tenant, env, kind, name, version } = record;
  const [row] = await tx.$queryRaw<{ previous: number | null }[]>`
    select (document->>'previous')::int as previous from routing_history
    where tenant_id = ${tenant} and env = ${env} and kind = ${kind} and name = ${name}
      and (document->>'active')::int = ${version} order by epoch desc limit 1`;
  const behind = row?.previous ?? null;
  const [usable] =
    behind === null || behind === now.active
      ? []
      : await tx.$queryRaw<unknown[]>`
          select 1 from model_version v left join deployment d on d.tenant_id = v.tenant_id and d.env = ${env}
            and d.model = v.model and d.version = v.version
          where v.tenant_id = ${tenant} and v.model = ${name} and v.version = ${behind}
            and not v.assurance = any (${withdrawn}) and d.barred_at is null`;
  return { active: version, previous: usable === undefined ? null : behind, arms: [], shadow: [] };
}

async function consumeNonces(
  tx: Tx,
  record: ReleaseRecord,
  approval: { approvalId: string; nonces: string[] },
): Promise<void> {
  for (const nonce of approval.nonces) {
    const written = await tx.$executeRaw`
      insert into approval_nonce (tenant_id, nonce, approval_id, release_id)
      values (${record.tenant}, ${nonce}, ${approval.approvalId}, ${record.releaseId}) on conflict do nothing`;
    if (written === 0) {
      throw new PlatformError('APPROVAL_INVALID', 'The approval was used by another release.');
    }
  }
}

/** The version that was active and is replaced by a rollback is barred until a new approval. */
async function barReplaced(tx: Tx, record: ReleaseRecord, before: Pointers): Promise<void> {
  if (before.active === null || before.active === record.version) return;
  await setDeployment(tx, record.tenant, {
    env: record.env,
    model: record.name,
    version: before.active,
    state: 'ROLLED_BACK',
    barred: record.progress.reason,
  });
}

/** Puts the version beside the active one: the shadow row, the capture on the pointer, the step. */
const beginShadow =
  (db: Database) =>
  async (
    caller: Caller,
    move: {
      releaseId: string;
      expectedSeq: number;
      expectedEpoch: number;
      machine: ReleaseMachine;
    },
  ): Promise<PointerMove> => {
    const outcome = await mutate<PointerMove>(db, caller, async (tx) => {
      const { tenant } = caller;
      const target = await mustRead(tx, { tenant, releaseId: move.releaseId });
      await lockKills(tx, { tenant, env: target.env }, false);
      const record = await mustRead(tx, { tenant, releaseId: move.releaseId }, true);
      const stay = (reason: 'STALE_EPOCH' | 'KILLED'): Change<PointerMove> => ({
        status: 200,
        body: { moved: false, reason, progress: record.progress },
        audit: [],
      });
      const { plan, version, progress } = record;
      if (progress.seq !== move.expectedSeq || plan.shadow === undefined)
        return stay('STALE_EPOCH');
      if (blockingKill(await killsOf(tx, tenant, record), record) !== undefined) {
        return stay('KILLED');
      }
      const before = pointersOf(await readRouting(tx, tenant, record));
      const shadowId = newId('shadow');
      const actor = caller.actor.subject;
      const epoch = await moveRouting(tx, tenant, {
        target: targetOf(record),
        expectedEpoch: move.expectedEpoch,
        releaseId: move.releaseId,
        pointers: shadowed(before, {
          shadowId,
          version,
          sampleRateBp: plan.shadow.sampleRateBp,
        }),
        refuseOlder: false,
        move: 'shadow',
        actor,
        reason: `shadow of v${version}`,
      });
      if (epoch === undefined) return stay('STALE_EPOCH');
      await tx.$executeRaw`
        insert into shadow (tenant_id, shadow_id, release_id, env, model, version, state, input, started_at)
        values (${tenant}, ${shadowId}, ${move.releaseId}, ${record.env}, ${record.name}, ${version}, 'COLLECTING',
          ${JSON.stringify(plan.shadow)}::jsonb, clock_timestamp())`;
      const place = { env: record.env, model: record.name, version, state: 'SHADOW' as const };
      await setDeployment(tx, tenant, place);
      const earlier = { active: before.active, previous: before.previous };
      const change = await stepped(tx, record, {
        ...move,
        actor,
        reason: 'sampled traffic is compared',
        waitingOn: 'samples',
        epoch,
        patch: { shadowId, earlier },
        word: 'shadowed',
      });
      return { ...change, body: { moved: true, progress: change.body } };
    });
    return outcome.body;
  };

/** Closes the shadow with its verdict and takes the step that the verdict means; a pause ends the capture. */
const endShadow =
  (db: Database) =>
  async (
    caller: Caller,
    move: {
      releaseId: string;
      expectedSeq: number;
      machine: ReleaseMachine;
      reason: string;
      verdict: ShadowVerdict;
      patch: StoredProgress;
    },
  ): Promise<ReleaseProgress> => {
    const outcome = await mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const record = await mustRead(tx, { tenant, releaseId: move.releaseId }, true);
      const { seq, shadowId } = record.progress;
      if (seq !== move.expectedSeq) return { status: 200, body: record.progress, audit: [] };
      await tx.$executeRaw`update shadow set state = ${move.verdict.state}, ended_at = clock_timestamp(),
          verdict = ${JSON.stringify(move.verdict)}::jsonb
        where tenant_id = ${tenant} and shadow_id = ${shadowId ?? ''} and ended_at is null`;
      const routing = await readRouting(tx, tenant, { ...targetOf(record), lock: true });
      const actor = caller.actor.subject;
      let epoch: number | undefined;
      if (move.machine.state === 'PAUSED' && routing !== undefined) {
        epoch = await moveRouting(tx, tenant, {
          target: targetOf(record),
          expectedEpoch: routing.epoch,
          releaseId: move.releaseId,
          pointers: restored(routing, routing, record.version),
          refuseOlder: false,
          move: 'unshadow',
          actor,
          reason: move.reason,
        });
      }
      return stepped(tx, record, {
        ...move,
        actor,
        checks: move.verdict.checks,
        waitingOn: move.machine.state === 'PAUSED' ? 'human' : 'nothing',
        ...(epoch === undefined ? {} : { epoch }),
        word: 'judged',
      });
    });
    return outcome.body;
  };

/**
 * Gives the version all traffic: one compare-and-swap on the epoch, with the nonces of the approval, the deployment
 * states, history, audit and event in the same transaction.
 * @throws APPROVAL_INVALID where a nonce was consumed before
 */
const promoteVersion =
  (db: Database) =>
  async (
    caller: Caller,
    move: {
      releaseId: string;
      expectedSeq: number;
      expectedEpoch: number;
      machine: ReleaseMachine;
      approval: { approvalId: string; nonces: string[] } | null;
    },
  ): Promise<PointerMove> => {
    const outcome = await mutate<PointerMove>(db, caller, async (tx) => {
      const { tenant } = caller;
      const found = await mustRead(tx, { tenant, releaseId: move.releaseId });
      await lockKills(tx, { tenant, env: found.env }, false);
      const record = await mustRead(tx, { tenant, releaseId: move.releaseId }, true);
      const { version, progress } = record;
      const stay = (reason: 'STALE_EPOCH' | 'KILLED' | 'WITHDRAWN'): Change<PointerMove> => ({
        status: 200,
        body: { moved: false, reason, progress },
        audit: [],
      });
      if (progress.seq !== move.expectedSeq || progress.state !== 'PROMOTING') {
        return stay('STALE_EPOCH');
      }
      if (blockingKill(await killsOf(tx, tenant, record), record) !== undefined) {
        return stay('KILLED');
      }
      const [fit] = await tx.$queryRaw<{ assurance: string }[]>`
        select assurance from model_version where tenant_id = ${tenant} and model = ${record.name}
          and version = ${version}`;
      if (fit === undefined || withdrawn.includes(fit.assurance)) return stay('WITHDRAWN');
      const before = pointersOf(await readRouting(tx, tenant, record));
      const isRollback = record.strategy === 'rollback';
      const after = isRollback ? await rolledBackTo(tx, record, before) : promoted(before, version);
      const actor = caller.actor.subject;
      const epoch = await moveRouting(tx, tenant, {
        target: targetOf(record),
        expectedEpoch: move.expectedEpoch,
        releaseId: move.releaseId,
        pointers: after,
        refuseOlder: isRollback,
        move: 'promote',
        actor,
        reason: progress.reason,
      });
      if (epoch === undefined) return stay('STALE_EPOCH');
      if (move.approval !== null) await consumeNonces(tx, record, move.approval);
      await deploy(tx, record, { before, after, candidate: {} });
      if (isRollback) await barReplaced(tx, record, before);
      const earlier = record.earlier ?? { active: before.active, previous: before.previous };
      const change = await stepped(tx, record, {
        ...move,
        actor,
        reason: `v${version} has all traffic`,
        waitingOn: 'processes',
        epoch,
        patch: { promoted: true, earlier, frozenUntilMs: null },
        word: 'promoted',
      });
      return { ...change, body: { moved: true, progress: change.body } };
    });
    return outcome.body;
  };

/** Restores what was live before the release moved anything; an epoch more, never history rewritten. */
const restoreRouting =
  (db: Database) =>
  async (
    caller: Caller,
    move: { releaseId: string; expectedSeq: number; machine: ReleaseMachine },
  ): Promise<ReleaseProgress> => {
    const outcome = await mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const record = await mustRead(tx, { tenant, releaseId: move.releaseId }, true);
      const { progress, version, earlier } = record;
      if (progress.seq !== move.expectedSeq || progress.restoredEpoch !== null) {
        return { status: 200, body: progress, audit: [] };
      }
      const routing = await readRouting(tx, tenant, { ...targetOf(record), lock: true });
      const actor = caller.actor.subject;
      const barred = barsVersion(progress.cause, {
        promoted: progress.promoted,
        strategy: record.strategy,
      });
      let epoch: number | undefined;
      if (progress.movedEpoch !== null && routing !== undefined && earlier !== null) {
        const after = restored(routing, earlier, version);
        epoch = await moveRouting(tx, tenant, {
          target: targetOf(record),
          expectedEpoch: routing.epoch,
          releaseId: move.releaseId,
          pointers: after,
          refuseOlder: progress.promoted,
          move: 'restore',
          actor,
          reason: progress.reason,
        });
        if (epoch === undefined) {
          throw new PlatformError('INTERNAL', 'another release holds the pointer');
        }
        await deploy(tx, record, {
          before: routing,
          after,
          candidate: barred ? { barred: progress.reason } : {},
        });
      } else if (barred) {
        const place = { env: record.env, model: record.name, version, barred: progress.reason };
        await setDeployment(tx, tenant, { ...place, state: 'ROLLED_BACK' });
      }
      return stepped(tx, record, {
        ...move,
        actor,
        reason: progress.reason,
        waitingOn: 'processes',
        ...(epoch === undefined ? {} : { epoch }),
        patch: { restoredEpoch: epoch ?? 0 },
        word: 'restored',
      });
    });
    return outcome.body;
  };

/** Moves of the pointer by a release (role anneal_worker): compare-and-swap, history, deployments and step in one transaction. */
export const createPointerMoves = (db: Database) => ({
  beginShadow: beginShadow(db),
  endShadow: endShadow(db),
  promoteVersion: promoteVersion(db),
  restoreRouting: restoreRouting(db),
});
