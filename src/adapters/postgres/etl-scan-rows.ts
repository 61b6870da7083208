import { PlatformError } from '../../domain/errors.js';
import type { Change } from '../../domain/events/change.js';
import type { TokenGuard } from '../../domain/etl/chunk-text.js';
import type { ScanState } from '../../domain/etl/contract.js';
import type { Pipeline } from '../../domain/etl/ledger.js';
import type { ScanStanding } from '../../domain/etl/scan.js';
import type { SqlRow, Tx } from './database.js';
import type { LedgerParts } from './etl-rows.js';
import { newId } from './new-id.js';

/** What the rows of scans are made of. */
export interface ScanParts extends LedgerParts {
  /** The PII policy as it is part of `parse_fp`. */
  piiOf: (
    tenant: string,
    piiPolicy: Record<string, unknown>,
  ) => Promise<{ policyVersion: string; keyId: string }>;
  /** The token guard as it is part of `chunk_fp`. */
  chunkTokens: Pick<TokenGuard, 'tokenizer' | 'max'>;
}

/** Changes that one transaction records at most: live events of the source wait for it. */
export const STEP_CHANGES = 5_000;

interface ScanCounts {
  /** Changes that were recorded. */
  upserts: number;
  deletes: number;
  /** Deletions that wait for a decision, or were not made. */
  withheld: number;
}

/** A scan with its source, both locked until the transaction ends. */
export interface HeldScan {
  tenant: string;
  scan: {
    scanId: string;
    state: ScanState;
    complete: boolean;
    counts: ScanCounts;
    decision: 'apply' | 'discard' | undefined;
    /** Milliseconds left for a decision, by the database's clock; undefined where nobody was asked yet. */
    leftMs: number | undefined;
    endedAt: Date | null;
  };
  source: {
    sourceId: string;
    name: string;
    collectionId: string;
    isGoing: boolean;
    acl: string[];
    pipeline: Pipeline;
    deleteGuardBp: number;
    wakePending: boolean;
    nextSeq: bigint;
  };
}

function heldScan(tenant: string, source: SqlRow, scan: SqlRow): HeldScan {
  const counts = scan.counts as Partial<ScanCounts> | null;
  const decision = scan.decision as { decision?: 'apply' | 'discard' } | null;
  return {
    tenant,
    scan: {
      scanId: String(scan.scan_id),
      state: scan.state as ScanState,
      complete: scan.complete === true,
      counts: { upserts: 0, deletes: 0, withheld: 0, ...counts },
      decision: decision?.decision,
      leftMs: scan.left_ms === null ? undefined : Number(scan.left_ms),
      endedAt: scan.ended_at as Date | null,
    },
    source: {
      sourceId: String(source.source_id),
      name: String(source.name),
      collectionId: String(source.collection_id),
      isGoing: source.state === 'DELETING' || source.state === 'DELETED',
      acl: source.access as string[],
      pipeline: source.pipeline as Pipeline,
      deleteGuardBp: Number(source.delete_guard_bp),
      wakePending: source.wake_pending === true,
      nextSeq: BigInt(String(source.next_seq)),
    },
  };
}

/** Locks the source, as whoever records changes does, then the scan. @throws NOT_FOUND */
export async function lockScan(tx: Tx, tenant: string, scanId: string): Promise<HeldScan> {
  const [source] = await tx.$queryRawUnsafe<SqlRow[]>(
    `select s.source_id, s.name, s.collection_id, s.state, s.delete_guard_bp, s.wake_pending, s.next_seq::text, c.pipeline,
       coalesce(nullif(s.acl, '{}'), c.acl_default, '{}') as access
     from etl_source s join etl_collection c on c.tenant_id = s.tenant_id and c.collection_id = s.collection_id
     where s.tenant_id = $1
       and s.source_id = (select source_id from etl_scan where tenant_id = $1 and scan_id = $2) for update of s`,
    tenant,
    scanId,
  );
  const [scan] = await tx.$queryRawUnsafe<SqlRow[]>(
    `select scan_id, state, complete, counts, decision, ended_at,
       ceil(extract(epoch from expires_at - now()) * 1000)::float8 as left_ms
     from etl_scan where tenant_id = $1 and scan_id = $2 for update`,
    tenant,
    scanId,
  );
  if (source === undefined || scan === undefined)
    throw new PlatformError('NOT_FOUND', 'There is no such scan.');
  return heldScan(tenant, source, scan);
}

/** Runs a statement over one step's rows by hash joins: a tenant that statistics do not know is estimated at one row. */
export async function bounded(tx: Tx, sql: string, values: unknown[]): Promise<SqlRow[]> {
  await tx.$executeRawUnsafe('set local enable_nestloop = off');
  const rows = await tx.$queryRawUnsafe<SqlRow[]>(sql, ...values);
  await tx.$executeRawUnsafe('set local enable_nestloop = on');
  return rows;
}

/** How a scan stands as its row says. */
export const standingOf = (
  { state, counts }: Pick<HeldScan['scan'], 'state' | 'counts'>,
  remainingMs = 0,
): ScanStanding => ({
  state,
  upserts: counts.upserts,
  deletes: state === 'WAITING' ? counts.withheld : counts.deletes,
  remainingMs,
});

/** Takes `count` places in the source's order for changes that are recorded, and wakes its watcher unless it is awake. */
export async function noteChanges(
  parts: Pick<ScanParts, 'watchStart'>,
  tx: Tx,
  of: { held: HeldScan; count: number },
) {
  const { tenant, source, scan } = of.held;
  if (of.count === 0) return [];
  await tx.$executeRawUnsafe(
    `update etl_source set next_seq = next_seq + $3, wake_pending = true where tenant_id = $1 and source_id = $2`,
    tenant,
    source.sourceId,
    of.count,
  );
  await tx.$executeRawUnsafe(
    `update etl_scan set counts = $3::jsonb where tenant_id = $1 and scan_id = $2`,
    tenant,
    scan.scanId,
    JSON.stringify(scan.counts),
  );
  if (source.wakePending) return [];
  const start = parts.watchStart({ tenant, sourceId: source.sourceId, name: source.name });
  return [
    {
      workflowId: start.workflowId,
      factId: newId('event'),
      start: { ...start, startedBy: 'relay' as const },
    },
  ];
}

/** Ends a scan: its entries are dropped, a complete one that was applied is evidence of how recent the source is known. */
export async function scanEnd(
  tx: Tx,
  { tenant, scan, source }: HeldScan,
  end: { state: 'APPLIED' | 'DISCARDED' | 'FAILED'; reason?: string | undefined },
): Promise<Change<ScanStanding>> {
  const { scanId, counts, complete } = scan;
  const { state, reason = null } = end;
  await tx.$executeRawUnsafe(
    `update etl_scan set state = $3, reason = $4, counts = $5::jsonb, ended_at = now()
     where tenant_id = $1 and scan_id = $2`,
    ...[tenant, scanId, state, reason, JSON.stringify(counts)],
  );
  await tx.$executeRawUnsafe(
    `delete from etl_scan_entry where tenant_id = $1 and scan_id = $2`,
    tenant,
    scanId,
  );
  if (state === 'APPLIED' && complete)
    await tx.$executeRawUnsafe(
      `update etl_source s set last_complete_scan_at = greatest(s.last_complete_scan_at, n.created_at)
       from etl_scan n where s.tenant_id = $1 and s.source_id = $2 and n.tenant_id = $1 and n.scan_id = $3`,
      ...[tenant, source.sourceId, scanId],
    );
  const facts = { scanId, sourceId: source.sourceId, state, complete, ...counts };
  return {
    status: 200,
    body: standingOf({ state, counts }),
    events: [{ type: 'anneal.etl.scan_ended.v1', subject: `scans/${scanId}`, data: facts }],
    audit: {
      action: `etl.scan-${state.toLowerCase()}`,
      resource: { type: 'scan', id: scanId },
      before: { state: scan.state },
      after: facts,
      ...(reason === null ? {} : { reason }),
    },
  };
}
