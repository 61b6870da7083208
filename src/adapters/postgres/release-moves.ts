import { digestOf } from '../../domain/digest.js';
import type { Caller } from '../../domain/events/change.js';
import type { ReleaseCheck, ReleaseProgress } from '../../domain/release/contract.js';
import { releaseWorkflowId } from '../../domain/release/contract.js';
import type { AdvanceMove, ReleaseNote, ReleaseRecord } from '../../domain/release/record.js';
import type { ReleaseMachine } from '../../domain/release/transitions.js';
import type { Database } from './database.js';
import type { Prisma } from './generated/client.js';
import { mutate } from './mutate.js';
import { buildReport } from './release-report.js';
import { mustRead, stepped } from './release-steps.js';

/** The release as it is, with the database's time. @throws NOT_FOUND */
const loadRelease =
  (db: Database) =>
  (tenant: string, releaseId: string): Promise<ReleaseRecord> =>
    db.withTenant(tenant, (tx) => mustRead(tx, { tenant, releaseId }));

/** A move that touches no pointer. */
const advanceRelease =
  (db: Database) =>
  async (caller: Caller, move: AdvanceMove): Promise<ReleaseProgress> => {
    const outcome = await mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const record = await mustRead(tx, { tenant, releaseId: move.releaseId }, true);
      const actor = move.order?.actor ?? caller.actor.subject;
      const change = await stepped(tx, record, { ...move, actor });
      if (move.order !== undefined) {
        const { commandId } = move.order;
        await tx.$executeRaw`update release_command set applied_at = clock_timestamp(), outcome = 'APPLIED'
          where tenant_id = ${tenant} and command_id = ${commandId} and applied_at is null`;
      }
      return change;
    });
    return outcome.body;
  };

/** Notes what a tick found without a move: no step, no epoch. */
const noteRelease =
  (db: Database) =>
  (tenant: string, note: ReleaseNote): Promise<ReleaseProgress> =>
    db.withTenant(tenant, async (tx) => {
      await tx.$executeRaw`update release set progress = progress || ${JSON.stringify(note.patch)}::jsonb,
          waiting_on = coalesce(${note.waitingOn ?? null}::text, waiting_on), updated_at = clock_timestamp()
        where tenant_id = ${tenant} and release_id = ${note.releaseId} and seq = ${note.expectedSeq}`;
      return (await mustRead(tx, { tenant, releaseId: note.releaseId })).progress;
    });

/** The oldest order that has not been looked at. */
const nextOrder = (db: Database) => (tenant: string, releaseId: string) =>
  db.withTenant(tenant, async (tx) => {
    const row = await tx.releaseCommand.findFirst({
      where: { tenantId: tenant, releaseId, appliedAt: null },
      orderBy: [{ createdAt: 'asc' }, { commandId: 'asc' }],
    });
    return row === null
      ? undefined
      : { commandId: row.commandId, command: row.command, reason: row.reason, actor: row.actor };
  });

/** Marks an order that came too late. */
const ignoreOrder =
  (db: Database) =>
  (tenant: string, commandId: string): Promise<void> =>
    db.withTenant(tenant, async (tx) => {
      await tx.$executeRaw`update release_command set applied_at = clock_timestamp(), outcome = 'IGNORED'
        where tenant_id = ${tenant} and command_id = ${commandId} and applied_at is null`;
    });

/** Ends the release: final report with its digest, the pointer is free, a release that waited may go. */
const finishRelease =
  (db: Database) =>
  async (
    caller: Caller,
    move: {
      releaseId: string;
      expectedSeq: number;
      machine: ReleaseMachine;
      reason: string;
      checks: ReleaseCheck[];
      laggards?: string[];
    },
  ): Promise<ReleaseProgress> => {
    const outcome = await mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const { releaseId } = move;
      const record = await mustRead(tx, { tenant, releaseId }, true);
      const { env, kind, name } = record;
      const change = await stepped(tx, record, {
        ...move,
        actor: caller.actor.subject,
        ...(move.laggards === undefined ? {} : { patch: { laggards: move.laggards } }),
        word: move.machine.state.toLowerCase(),
      });
      if (change.body.seq !== move.expectedSeq + 1) return change;
      await tx.$executeRaw`update routing set release_id = null
        where tenant_id = ${tenant} and env = ${env} and kind = ${kind} and name = ${name}
          and release_id = ${releaseId}`;
      await tx.$executeRaw`update shadow set state = 'STOPPED', ended_at = clock_timestamp()
        where tenant_id = ${tenant} and release_id = ${releaseId} and ended_at is null`;
      const report = await buildReport(tx, await mustRead(tx, { tenant, releaseId }));
      await tx.release.update({
        where: { tenantId_releaseId: { tenantId: tenant, releaseId } },
        data: {
          endedAt: new Date(),
          report: report as unknown as Prisma.InputJsonValue,
          reportDigest: digestOf('anneal.release-report.v1', report),
        },
      });
      await tx.$executeRaw`update release_command set applied_at = clock_timestamp(), outcome = 'IGNORED'
        where tenant_id = ${tenant} and release_id = ${releaseId} and applied_at is null`;
      const freed = await tx.$queryRaw<{ release_id: string }[]>`
        update release set queued_behind = null
        where tenant_id = ${tenant} and queued_behind = ${releaseId} returning release_id`;
      const wakes = freed.map((row) => ({
        factId: `${releaseId}/ended`,
        workflowId: releaseWorkflowId(tenant, row.release_id),
      }));
      return { ...change, wakes };
    });
    return outcome.body;
  };

/** Moves of a release by its workflow (role anneal_worker). Each names the step it follows: a repeat changes nothing. */
export const createReleaseMoves = (db: Database) => ({
  loadRelease: loadRelease(db),
  advanceRelease: advanceRelease(db),
  noteRelease: noteRelease(db),
  nextOrder: nextOrder(db),
  ignoreOrder: ignoreOrder(db),
  finishRelease: finishRelease(db),
});
