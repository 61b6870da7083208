import type { Caller, Change } from '../../domain/events/change.js';
import { exceedsDeleteGuard } from '../../domain/etl/exceeds-delete-guard.js';
import type { ScanStanding } from '../../domain/etl/scan.js';
import type { Tx } from './database.js';
import {
  bounded,
  lockScan,
  noteChanges,
  scanEnd,
  standingOf,
  STEP_CHANGES,
  type HeldScan,
  type ScanParts,
} from './etl-scan-rows.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';

/** Documents from before the scan that no page listed, and that no event has spoken of since the scan began. */
const absent = `
  from etl_scan s join etl_document d on d.tenant_id = $1 and d.source_id = $3 and d.deleted_at is null
    and d.created_at < s.created_at
  where s.tenant_id = $1 and s.scan_id = $2
    and not exists (select from etl_scan_entry p where p.tenant_id = $1 and p.scan_id = $2 and p.key_hash = d.key_hash)
    and not exists (select from etl_change_event n where n.tenant_id = $1 and n.source_id = $3 and n.doc_id = d.doc_id
      and n.kind = 'upsert' and n.received_at >= s.created_at)`;

const insertDeletes = `
  insert into etl_change_event (tenant_id, change_id, source_id, doc_id, key_hash, kind, source_version, seq, priority, state)
  select $1, c."changeId", $2, d.doc_id, d.key_hash, 'delete', $4,
    greatest(c.seq, d.seq + 1, 1 + (select max(n.seq) from etl_change_event n where n.tenant_id = $1 and n.doc_id = d.doc_id
      and n.kind <> 'acl' and n.state <> 'SUPERSEDED')), 2, 'PENDING'
  from jsonb_to_recordset($3::jsonb) as c("changeId" text, "docId" uuid, seq bigint)
  join etl_document d on d.tenant_id = $1 and d.doc_id = c."docId"
  on conflict do nothing`;

/** Hides what is absent, in order of the id like every writer of documents, and records its deletion (W4). */
async function deleteAbsent(tx: Tx, { tenant, scan, source }: HeldScan): Promise<number> {
  const { scanId } = scan;
  const { sourceId } = source;
  const rows = await bounded(
    tx,
    `select d.doc_id::text ${absent} order by d.doc_id limit $4 for update of d`,
    [tenant, scanId, sourceId, STEP_CHANGES],
  );
  if (rows.length === 0) return 0;
  const changes = rows.map((row, at) => ({
    changeId: newId('change'),
    docId: String(row.doc_id),
    seq: (source.nextSeq + BigInt(at)).toString(),
  }));
  const docIds = changes.map(({ docId }) => docId);
  await tx.$executeRawUnsafe(
    `update etl_document set deleted_at = now(), updated_at = now() where tenant_id = $1 and doc_id = any ($2::uuid[])`,
    tenant,
    docIds,
  );
  await tx.$executeRawUnsafe(
    insertDeletes,
    ...[tenant, sourceId, JSON.stringify(changes), `scan ${scanId}`],
  );
  return rows.length;
}

/** Documents that would go, and how many there were when the scan began. */
async function countAbsent(tx: Tx, { tenant, scan, source }: HeldScan) {
  const [row] = await bounded(
    tx,
    `select (select count(*)::int ${absent}) as absent, count(*)::int as known from etl_document d
     join etl_scan s on s.tenant_id = $1 and s.scan_id = $2
     where d.tenant_id = $1 and d.source_id = $3 and d.deleted_at is null and d.created_at < s.created_at`,
    [tenant, scan.scanId, source.sourceId],
  );
  return { absent: Number(row?.absent ?? 0), known: Number(row?.known ?? 0) };
}

/** Asks for a decision, once; until it is there the scan waits. */
async function askDecision(
  tx: Tx,
  { tenant, scan, source }: HeldScan,
  decisionMs: number,
): Promise<Change<ScanStanding>> {
  const { scanId, counts, leftMs } = scan;
  const body = standingOf({ state: 'WAITING', counts }, leftMs ?? decisionMs);
  if (leftMs !== undefined) return { status: 200, body, audit: [] };
  await tx.$executeRawUnsafe(
    `update etl_scan set state = 'WAITING', counts = $3::jsonb, expires_at = now() + make_interval(secs => $4)
     where tenant_id = $1 and scan_id = $2`,
    ...[tenant, scanId, JSON.stringify(counts), decisionMs / 1_000],
  );
  const facts = { scanId, sourceId: source.sourceId, deletes: counts.withheld };
  return {
    status: 200,
    body,
    events: [{ type: 'anneal.etl.scan_waiting.v1', subject: `scans/${scanId}`, data: facts }],
    audit: {
      action: 'etl.scan-waiting',
      resource: { type: 'scan', id: scanId },
      before: { state: scan.state },
      after: { state: 'WAITING', ...facts },
    },
  };
}

/** What becomes of the documents that are absent. */
async function judge(
  tx: Tx,
  held: HeldScan,
  guard: { minDeletes: number; decisionMs: number },
): Promise<'DELETE' | Change<ScanStanding>> {
  const { scan, source } = held;
  const { counts, decision, leftMs } = scan;
  if (source.isGoing) return scanEnd(tx, held, { state: 'DISCARDED', reason: 'SOURCE_DELETED' });
  // G6: an incomplete listing is no evidence that anything is gone.
  if (!scan.complete) return scanEnd(tx, held, { state: 'APPLIED', reason: 'INCOMPLETE' });
  const found = await countAbsent(tx, held);
  counts.withheld = found.absent;
  if (decision === 'apply') return 'DELETE';
  if (decision === 'discard') return scanEnd(tx, held, { state: 'DISCARDED', reason: 'DECIDED' });
  if (leftMs !== undefined && leftMs <= 0)
    return scanEnd(tx, held, { state: 'DISCARDED', reason: 'DECISION_EXPIRED' });
  // Deletions of an earlier step count: the verdict is about the whole scan.
  const exceeds = exceedsDeleteGuard({
    deletes: counts.deletes + found.absent,
    known: counts.deletes + found.known,
    guardBp: source.deleteGuardBp,
    minDeletes: guard.minDeletes,
  });
  return exceeds ? askDecision(tx, held, guard.decisionMs) : 'DELETE';
}

/**
 * One step of what follows the upserts: ends the scan, lets it wait, or records some of its deletions.
 * @returns undefined where more deletions are to be recorded
 */
export async function settleScan(
  parts: ScanParts,
  caller: Caller,
  of: { scanId: string; minDeletes: number; decisionMs: number },
): Promise<ScanStanding | undefined> {
  const outcome = await mutate<ScanStanding | undefined>(parts.db, caller, async (tx) => {
    const held = await lockScan(tx, caller.tenant, of.scanId);
    const { scan, source } = held;
    if (scan.endedAt !== null) return { status: 200, body: standingOf(scan), audit: [] };
    const verdict = await judge(tx, held, of);
    if (verdict !== 'DELETE') return verdict;
    const count = await deleteAbsent(tx, held);
    scan.counts.deletes += count;
    scan.counts.withheld -= count;
    const wakes = await noteChanges(parts, tx, { held, count });
    if (count < STEP_CHANGES) {
      const end = await scanEnd(tx, held, { state: 'APPLIED' });
      return { ...end, wakes };
    }
    const audit = {
      action: 'etl.changes-recorded',
      resource: { type: 'source', id: source.sourceId },
      after: { scanId: of.scanId, deletes: count },
    };
    return { status: 200, body: undefined, wakes, audit };
  });
  return outcome.body;
}
