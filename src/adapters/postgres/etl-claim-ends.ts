import type { ChangeKind, Settled } from '../../domain/etl/ledger.js';
import type { Query, SqlRow } from './database.js';

/** A document that the batch holds, locked, as INTENT finds it. */
interface Held {
  docId: string;
  liveRev: number | undefined;
  nextRev: number;
  fence: bigint;
  seq: bigint;
  collectionId: string;
  /** Stale or hidden: something stopped it before. */
  stopped: boolean;
}

/** Locks what the batch still holds under these fences, in order of the id. */
export async function lockHeld(
  query: Query,
  of: { tenant: string; batchId: string },
  documents: readonly { docId: string; fence: bigint }[],
): Promise<Map<string, Held>> {
  const rows = await query(
    `select doc_id, live_rev, next_rev, fence, seq, collection_id,
       stale_since is not null or hidden_reason is not null as stopped
     from etl_document where tenant_id = $1 and claim_batch = $2 and doc_id = any($3::uuid[])
     order by doc_id for update`,
    [of.tenant, of.batchId, documents.map((d) => d.docId)],
  );
  const fences = new Map(documents.map(({ docId, fence }) => [docId, String(fence)]));
  const mine = rows.filter((row) => fences.get(String(row.doc_id)) === String(row.fence));
  return new Map(
    mine.map((row) => [
      String(row.doc_id),
      {
        docId: String(row.doc_id),
        liveRev: row.live_rev === null ? undefined : Number(row.live_rev),
        nextRev: Number(row.next_rev),
        fence: BigInt(String(row.fence)),
        seq: BigInt(String(row.seq)),
        collectionId: String(row.collection_id),
        stopped: row.stopped === true,
      },
    ]),
  );
}

const appliedChange = (row: SqlRow, sourceKind: unknown): Settled => ({
  docId: String(row.doc_id),
  change: {
    sourceKind: String(sourceKind),
    changeKind: row.kind as ChangeKind,
    lagSeconds: Math.max(0, Number(row.lag)),
    changedLagSeconds: row.changed_lag === null ? undefined : Math.max(0, Number(row.changed_lag)),
  },
});

/** Ends claims; what was claimed gets `state`. Answers the documents in the order of `docIds`, with what was applied. */
export async function endClaims(
  query: Query,
  of: { tenant: string; batchId: string; state: 'APPLIED' | 'SUPERSEDED' | 'QUARANTINED' },
  docIds: readonly string[],
): Promise<Settled[]> {
  const settled = await endChanges(query, of, docIds);
  await freeDocuments(query, of, docIds);
  return settled;
}

/** Ends claims of documents without a word about their changes. */
export async function freeDocuments(
  query: Query,
  of: { tenant: string; batchId: string },
  docIds: readonly string[],
): Promise<void> {
  if (docIds.length === 0) return;
  await query(
    `update etl_document set claim_batch = null, claim_until = null, lost_claims = 0, updated_at = now()
     where tenant_id = $1 and claim_batch = $2 and doc_id = any($3::uuid[])`,
    [of.tenant, of.batchId, docIds],
  );
}

const resolveItems = `
  update etl_quarantine_item set state = 'RESOLVED', updated_at = now()
  where tenant_id = $1 and doc_id = any ($2::uuid[]) and state in ('OPEN', 'RETRIED', 'RELEASED')`;

/** What stopped these documents does not any more; a release is used up. */
export async function resolveStops(
  query: Query,
  tenant: string,
  docIds: readonly string[],
): Promise<void> {
  if (docIds.length > 0) await query(resolveItems, [tenant, docIds]);
}

/** {@link endClaims} for documents whose own update ends the claim. */
export async function endChanges(
  query: Query,
  of: { tenant: string; batchId: string; state: 'APPLIED' | 'SUPERSEDED' | 'QUARANTINED' },
  docIds: readonly string[],
): Promise<Settled[]> {
  if (docIds.length === 0) return [];
  const ended = await query(
    `update etl_change_event e set state = $4, applied_at = case when $4 = 'APPLIED' then now() end
     where e.tenant_id = $1 and e.batch_id = $2 and e.state = 'CLAIMED' and e.doc_id = any($3::uuid[])
     returning e.doc_id::text, e.kind, e.source_id, extract(epoch from clock_timestamp() - e.received_at) as lag,
       extract(epoch from clock_timestamp() - e.changed_at) as changed_lag`,
    [of.tenant, of.batchId, docIds, of.state],
  );
  const sources = await query(
    `select source_id, kind from etl_source where tenant_id = $1 and source_id = any($2::text[])`,
    [of.tenant, [...new Set(ended.map((row) => row.source_id))]],
  );
  const kinds = new Map(sources.map((row) => [row.source_id, row.kind]));
  const changes = new Map(
    ended.map((row) => [String(row.doc_id), appliedChange(row, kinds.get(row.source_id))]),
  );
  return docIds.map((docId) => changes.get(docId) ?? { docId });
}
