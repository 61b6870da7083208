import type { Caller } from '../../domain/events/change.js';
import { pipelineFps } from '../../domain/etl/pipeline-fps.js';
import type { SqlRow, Tx } from './database.js';
import {
  bounded,
  lockScan,
  noteChanges,
  STEP_CHANGES,
  type HeldScan,
  type ScanParts,
} from './etl-scan-rows.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';

/** Entries that are compared in one step. */
const STEP_ENTRIES = STEP_CHANGES;

const pageEnd = `
  select max(key_hash) as upto, count(*)::int as entries from (
    select key_hash from etl_scan_entry where tenant_id = $1 and scan_id = $2 and key_hash > $3
    order by key_hash limit $4) page`;

const barred = `exists (select from etl_suppression b
  where b.tenant_id = $1 and b.kind = 'document' and b.hmac = p.doc_id::text)`;

const insertNew = `
  insert into etl_document (tenant_id, doc_id, source_id, collection_id, key_hash, natural_key_enc, acl, denied_purposes)
  select $1, p.doc_id, $5, $6, p.key_hash, p.natural_key_enc, $7::text[], '{}' from etl_scan_entry p
  where p.tenant_id = $1 and p.scan_id = $2 and p.key_hash > $3 and p.key_hash <= $4 and not ${barred}
    and p.natural_key_enc is not null
    and not exists (select from etl_document d where d.tenant_id = $1 and d.source_id = $5 and d.key_hash = p.key_hash
      and d.key_hash > $3 and d.key_hash <= $4)
  order by p.doc_id on conflict do nothing`;

/**
 * Rung 1: new, back, another token, another pipeline, or among the fixed 1 % that is read anyway. The share is of
 * SHA-256 over document and scan: its first 28 bits modulo 100.
 */
const candidates = `
  select p.doc_id::text from etl_scan_entry p
  join etl_document d on d.tenant_id = $1 and d.source_id = $5 and d.key_hash = p.key_hash
    and d.key_hash > $3 and d.key_hash <= $4
  where p.tenant_id = $1 and p.scan_id = $2 and p.key_hash > $3 and p.key_hash <= $4
    and (d.live_rev is null or d.deleted_at is not null or d.source_token is distinct from p.token
      or d.pipeline_fp is null or d.pipeline_fp <> all ($6::text[])
      or ('x' || left(encode(sha256(convert_to(d.doc_id::text || $2, 'UTF8')), 'hex'), 7))::bit(28)::int % 100 = 0)`;

/**
 * Of those, what nobody has asked for yet. A document that was asked for after it was listed, or that waits to be read,
 * is read later than the listing looked; one that was deleted since the scan began is left to what deleted it. A version
 * that was quarantined or given up is not read again before the pipeline changes.
 */
const due = `
  with asked as (
    select doc_id, max(seq) filter (where state <> 'SUPERSEDED') as last_seq, max(seq) as any_seq,
      max(received_at) as last_at,
      max(received_at) filter (where kind = 'delete') as deleted_at,
      max(seq) filter (where kind = 'upsert' and state = 'PENDING') as waiting_seq,
      max(seq) filter (where kind = 'delete' and state = 'PENDING') as going_seq
    from etl_change_event where tenant_id = $1 and doc_id = any ($3::uuid[]) and kind <> 'acl' group by doc_id),
  same as (
    select doc_id, source_version, state, seq, received_at from etl_change_event
    where tenant_id = $1 and doc_id = any ($3::uuid[]) and kind = 'upsert')
  select p.doc_id::text, greatest(d.seq, coalesce(a.last_seq, 0))::text as before_seq
  from etl_scan_entry p
  join etl_scan s on s.tenant_id = $1 and s.scan_id = $2
  join etl_document d on d.tenant_id = $1 and d.doc_id = p.doc_id and d.doc_id = any ($3::uuid[])
  join etl_collection c on c.tenant_id = $1 and c.collection_id = d.collection_id
  left join asked a on a.doc_id = p.doc_id
  left join same e on e.doc_id = p.doc_id and e.source_version = p.token
  where p.tenant_id = $1 and p.scan_id = $2 and p.doc_id = any ($3::uuid[]) and not ${barred}
    and (a.last_at is null or a.last_at <= p.listed_at)
    and (a.deleted_at is null or a.deleted_at < s.created_at)
    and (a.waiting_seq is null or a.waiting_seq < coalesce(a.going_seq, 0))
    and (e.state is null or e.state = 'APPLIED'
      or (e.state in ('QUARANTINED', 'SUPERSEDED') and (e.seq < a.any_seq or e.received_at < c.updated_at)))
  order by p.key_hash`;

const insertChanges = `
  insert into etl_change_event as e (tenant_id, change_id, source_id, doc_id, key_hash, kind, source_version, seq, bytes,
    priority, state)
  select $1, c."changeId", $4, p.doc_id, p.key_hash, 'upsert', p.token, c.seq, p.bytes, 4, 'PENDING'
  from jsonb_to_recordset($3::jsonb) as c("changeId" text, "docId" uuid, seq bigint)
  join etl_scan_entry p on p.tenant_id = $1 and p.scan_id = $2 and p.doc_id = c."docId" and p.doc_id = any ($5::uuid[])
  order by c.seq
  on conflict (tenant_id, doc_id, kind, source_version) do update
    set state = 'PENDING', seq = excluded.seq, content_ref = null, content_enc = null, bytes = excluded.bytes,
      changed_at = null, received_at = now(), priority = 4, batch_id = null, applied_at = null
    where e.state not in ('PENDING', 'CLAIMED')`;

/** Records what is due of one part of the listing. */
async function recordDue(
  tx: Tx,
  held: HeldScan,
  of: { after: string; upto: string; pipelines: readonly string[] },
): Promise<number> {
  const { tenant, source, scan } = held;
  const range = [tenant, scan.scanId, of.after, of.upto, source.sourceId];
  await bounded(tx, insertNew, [...range, source.collectionId, source.acl]);
  const found = await bounded(tx, candidates, [...range, of.pipelines]);
  if (found.length === 0) return 0;
  const docIds = found.map((row) => String(row.doc_id));
  const rows = await bounded(tx, due, [tenant, scan.scanId, docIds]);
  let next = source.nextSeq;
  const changes = rows.map((row) => {
    const before = BigInt(String(row.before_seq));
    const seq = next > before ? next : before + 1n;
    next += 1n;
    return { changeId: newId('change'), docId: String(row.doc_id), seq: seq.toString() };
  });
  if (changes.length === 0) return 0;
  const named = [JSON.stringify(changes), source.sourceId, changes.map(({ docId }) => docId)];
  await bounded(tx, insertChanges, [tenant, scan.scanId, ...named]);
  return changes.length;
}

/**
 * Records what is new or changed in one part of a listing that is not applied yet.
 * @param of.after key hash that the part begins after
 * @returns the key hash that the next part begins after; undefined: this was the last one, or the scan takes no more
 */
export async function takeUpserts(
  parts: ScanParts,
  caller: Caller,
  of: { scanId: string; after: string },
): Promise<string | undefined> {
  const { tenant } = caller;
  const outcome = await mutate(parts.db, caller, async (tx) => {
    const held = await lockScan(tx, tenant, of.scanId);
    const { scan, source } = held;
    const nothing = { status: 200, body: { upto: undefined }, audit: [] };
    if (scan.state !== 'RUNNING' || source.isGoing) return nothing;
    const [page] = await tx.$queryRawUnsafe<SqlRow[]>(
      pageEnd,
      ...[tenant, of.scanId, of.after, STEP_ENTRIES],
    );
    if (typeof page?.upto !== 'string') return nothing;
    const { upto } = page;
    const pipelines = pipelineFps(
      source.pipeline,
      await parts.piiOf(tenant, source.pipeline.piiPolicy),
      parts.chunkTokens,
    );
    const count = await recordDue(tx, held, { after: of.after, upto, pipelines });
    scan.counts.upserts += count;
    const audit = {
      action: 'etl.changes-recorded',
      resource: { type: 'source', id: source.sourceId },
      after: { scanId: of.scanId, upserts: count },
    };
    return {
      status: 200,
      body: { upto: page.entries === STEP_ENTRIES ? upto : undefined },
      wakes: await noteChanges(parts, tx, { held, count }),
      audit: count === 0 ? [] : audit,
    };
  });
  return outcome.body.upto;
}
