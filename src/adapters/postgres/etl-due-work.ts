import { sha256Hex } from '../../domain/digest.js';
import type { Caller, Change } from '../../domain/events/change.js';
import type { StartRequest } from '../../domain/events/contract.js';
import {
  compactGenerationStart,
  reconcileGenerationStart,
  type SourceLimits,
} from '../../domain/etl/contract.js';
import {
  careEveryMs,
  carePeriodMs,
  checkCanariesStart,
  probeGenerationStart,
  scheduledWork,
  type CareKind,
  type DueResult,
  type DueWork,
  type ScheduledWork,
} from '../../domain/etl/due-work.js';
import { formatId } from '../../domain/ids.js';
import type { Database, SqlRow, Tx } from './database.js';
import { insertScan } from './etl-collections.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';

/** Starts that are this much nearer to the one before than their interval are late ones catching up, or doubled. */
const EARLY = 0.5;

const skipped = (
  reason: Extract<DueResult, { state: 'SKIPPED' }>['reason'],
): Change<DueResult> => ({
  status: 200,
  body: { state: 'SKIPPED', reason },
  audit: [],
});

const started = (
  start: StartRequest,
  about: { action: string; type: string; id: string },
): Change<DueResult> => ({
  status: 202,
  body: { state: 'STARTED', workflowId: start.workflowId },
  starts: [{ ...start, startedBy: 'relay' }],
  audit: {
    action: about.action,
    resource: { type: about.type, id: about.id },
    after: { workflowId: start.workflowId },
  },
});

async function startScan(
  tx: Tx,
  caller: Caller,
  of: { sourceId: string; hinted: boolean; limits?: SourceLimits | undefined },
): Promise<Change<DueResult>> {
  const { tenant } = caller;
  const { sourceId, hinted, limits } = of;
  const [source] = await tx.$queryRaw<SqlRow[]>`
    select state, schedule_ms from etl_source
    where tenant_id = ${tenant} and source_id = ${sourceId} for update`;
  const everyMs = Number(source?.schedule_ms ?? 0);
  if (source?.state !== 'ACTIVE' || everyMs === 0) return skipped('GONE');
  if (!hinted) {
    const [last] = await tx.$queryRaw<SqlRow[]>`
      select max(created_at) > now() - make_interval(secs => ${(everyMs * EARLY) / 1_000}) as early
      from etl_scan where tenant_id = ${tenant} and source_id = ${sourceId}`;
    if (last?.early === true) return skipped('NOT_DUE');
  }
  const row = await tx.etlSource.findUniqueOrThrow({
    where: { tenantId_sourceId: { tenantId: tenant, sourceId } },
  });
  const scan = await insertScan(tx, caller, { source: row, limits });
  if (scan === undefined) return skipped('RUNNING');
  return started(scan.start, { action: 'etl.scan-requested', type: 'scan', id: scan.scanId });
}

async function startReconcile(
  tx: Tx,
  caller: Caller,
  generationId: string,
): Promise<Change<DueResult>> {
  const { tenant, actor } = caller;
  const earlySeconds = (careEveryMs('reconcile') * EARLY) / 1_000;
  const [last] = await tx.$queryRaw<SqlRow[]>`
    select bool_or(state = 'RUNNING') as running, max(created_at) > now() - make_interval(secs => ${earlySeconds}) as early
    from etl_reconcile where tenant_id = ${tenant} and generation_id = ${generationId}`;
  if (last?.running === true) return skipped('RUNNING');
  if (last?.early === true) return skipped('NOT_DUE');
  const reconcileId = newId('reconcile');
  await tx.etlReconcile.create({
    data: {
      ...{ tenantId: tenant, reconcileId, generationId },
      ...{ state: 'RUNNING', requestedBy: actor.subject },
    },
  });
  const start = reconcileGenerationStart({ tenant, reconcileId, generationId });
  const about = { action: 'etl.reconcile-requested', type: 'generation', id: generationId };
  return started(start, about);
}

type RowlessKind = Exclude<CareKind, 'reconcile'>;

const rowlessStarts: Record<
  RowlessKind,
  (run: { tenant: string; generationId: string }, id: string) => StartRequest
> = {
  compaction: (run, compactionId) => compactGenerationStart({ ...run, compactionId }),
  probe: (run, probeId) => probeGenerationStart({ ...run, probeId }),
  canary: (run, canaryId) => checkCanariesStart({ ...run, canaryId }),
};

/** Work that leaves no row of its own is named after its period, so that it is begun once in each. */
async function startRowless(
  tx: Tx,
  caller: Caller,
  of: { work: RowlessKind; generationId: string },
): Promise<Change<DueResult>> {
  const { tenant } = caller;
  const { work, generationId } = of;
  const [clock] = await tx.$queryRaw<SqlRow[]>`select extract(epoch from now()) * 1000 as now`;
  const seed = Buffer.from(sha256Hex(`${work}/${generationId}`), 'hex').subarray(0, 10);
  const id = formatId(work, carePeriodMs(work, Number(clock?.now)), seed);
  const start = rowlessStarts[work]({ tenant, generationId }, id);
  const known = await tx.intent.findUnique({
    where: { tenantId_workflowId: { tenantId: tenant, workflowId: start.workflowId } },
  });
  if (known !== null) return skipped('NOT_DUE');
  return started(start, { action: `etl.${work}-requested`, type: 'generation', id: generationId });
}

async function startCare(
  tx: Tx,
  caller: Caller,
  of: { work: CareKind; generationId: string },
): Promise<Change<DueResult>> {
  const { work, generationId } = of;
  // The generation, alone: two that come at once start one.
  const [generation] = await tx.$queryRaw<SqlRow[]>`
    select state from etl_generation
    where tenant_id = ${caller.tenant} and generation_id = ${generationId} for update`;
  if (generation === undefined || generation.state === 'DROPPED') return skipped('GONE');
  return work === 'reconcile'
    ? startReconcile(tx, caller, generationId)
    : startRowless(tx, caller, { work, generationId });
}

/** Work by the clock: what the rows ask for, and the start of what is due (role anneal_worker). */
export const createEtlDueWork = (db: Database, limits?: SourceLimits) => ({
  scheduledWork: (tenant: string): Promise<ScheduledWork[]> =>
    db.batch(tenant, async (query) => {
      const sources = await query(
        `select source_id, schedule_ms from etl_source
         where tenant_id = $1 and state = 'ACTIVE' and schedule_ms is not null`,
        [tenant],
      );
      const generations = await query(
        `select generation_id, state from etl_generation where tenant_id = $1 and state <> 'DROPPED'`,
        [tenant],
      );
      return scheduledWork(tenant, {
        sources: sources.map((row) => ({
          id: String(row.source_id),
          everyMs: Number(row.schedule_ms),
        })),
        generations: generations.map((row) => ({
          id: String(row.generation_id),
          state: row.state as 'BUILDING' | 'LIVE' | 'HOLDING',
        })),
      });
    }),
  /** Starts what is due. Two that ask at once start one; a repeat after the start is NOT_DUE or RUNNING. */
  startDue: async (
    caller: Caller,
    { work, id }: Pick<DueWork, 'work' | 'id'>,
  ): Promise<DueResult> => {
    const outcome = await mutate(db, caller, async (tx) => {
      if (work === 'scan') return startScan(tx, caller, { sourceId: id, hinted: false, limits });
      return startCare(tx, caller, { work, generationId: id });
    });
    return outcome.body;
  },
  /** Starts a scan because something was seen to change: not before one that runs is over. */
  startHintedScan: async (caller: Caller, sourceId: string): Promise<DueResult> => {
    const outcome = await mutate(db, caller, (tx) =>
      startScan(tx, caller, { sourceId, hinted: true, limits }),
    );
    return outcome.body;
  },
});
