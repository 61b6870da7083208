import type { Ledger, Settled } from '../../domain/etl/ledger.js';
import type { Query } from './database.js';
import { appendBatchAudit } from './etl-commits.js';
import { endChanges, endClaims, lockHeld, resolveStops } from './etl-claim-ends.js';
import { bounded, type LedgerParts } from './etl-rows.js';
import { newId } from './new-id.js';

type Batch = { tenant: string; batchId: string };

/**
 * A commit narrowed access for this change while it waited; it says nothing new, so what was committed holds in full.
 * In doubt (a later revision was begun): rows of the live one may be gone, so "unchanged" would leave it short. Where the
 * document itself is gone there is nothing to read it from: the evidence of its deletion, or its return, settles the rest.
 */
const unchanged = `
  with i as (
    select * from jsonb_to_recordset($3::jsonb) as i("docId" uuid, fence bigint, "sourceToken" text, "rawHash" text,
      "parseFp" text, "chunkFp" text, "pipelineFp" text, gone boolean, acl text[])),
  applied as (
    select doc_id, seq from etl_change_event
    where tenant_id = $1 and batch_id = $2 and state = 'CLAIMED' and doc_id = any ($4::uuid[])),
  former as (
    select doc_id, acl from etl_document where tenant_id = $1 and doc_id = any ($4::uuid[])),
  going as (
    select doc_id, max(seq) as seq from etl_change_event
    where tenant_id = $1 and doc_id = any ($4::uuid[]) and state = 'PENDING' and kind = 'delete' group by doc_id),
  doubt as (
    select doc_id, max(rev) as rev from etl_intent
    where tenant_id = $1 and doc_id = any ($4::uuid[]) and state = 'OPEN' group by doc_id)
  update etl_document d set source_token = i."sourceToken", raw_hash = coalesce(i."rawHash", d.raw_hash),
    parse_fp = coalesce(i."parseFp", d.parse_fp), chunk_fp = coalesce(i."chunkFp", d.chunk_fp),
    pipeline_fp = coalesce(i."pipelineFp", d.pipeline_fp), seq = greatest(d.seq, e.seq), stale_since = null,
    hidden_reason = case when d.hidden_reason like 'quarantine:%' then null else d.hidden_reason end,
    deleted_at = case when going.seq > e.seq then d.deleted_at end,
    acl = case when exists (select from etl_change_event n where n.tenant_id = $1 and n.doc_id = d.doc_id
        and n.state = 'PENDING' and n.seq > e.seq) then d.acl
      else coalesce(i.acl, (select r.acl from etl_revision r where r.tenant_id = $1 and r.doc_id = d.doc_id
        and r.rev = d.live_rev and r.acl_hash = d.acl_hash), d.acl) end,
    claim_batch = null, claim_until = null, lost_claims = 0, updated_at = now()
  from i join applied e on e.doc_id = i."docId"
  join former on former.doc_id = i."docId"
  left join going on going.doc_id = i."docId"
  left join doubt on doubt.doc_id = i."docId"
  where d.tenant_id = $1 and d.doc_id = any ($4::uuid[]) and d.doc_id = i."docId" and d.fence = i.fence
    and d.claim_batch = $2 and d.live_rev is not null and (doubt.rev is null or doubt.rev <= d.live_rev or i.gone)
  returning d.doc_id, former.acl is distinct from d.acl as reopened`;

async function settleUnchanged(
  query: Query,
  of: Batch,
  documents: Parameters<Ledger['settleUnchanged']>[2],
): Promise<Settled[]> {
  const held = await lockHeld(query, of, documents);
  const rows = await bounded(query, unchanged, [
    of.tenant,
    of.batchId,
    JSON.stringify(documents.map((one) => ({ ...one, fence: String(one.fence) }))),
    documents.map(({ docId }) => docId),
  ]);
  const docIds = rows.map((row) => String(row.doc_id));
  const reopened = rows.filter((row) => row.reopened === true).map((row) => row.doc_id);
  if (reopened.length > 0)
    await query(
      `update etl_manifest set is_behind = true where tenant_id = $1 and doc_id = any($2::uuid[])`,
      [of.tenant, reopened],
    );
  await resolveStops(
    query,
    of.tenant,
    docIds.filter((docId) => held.get(docId)?.stopped),
  );
  return endChanges(query, { ...of, state: 'APPLIED' }, docIds);
}

async function settleAccess(
  query: Query,
  of: Batch,
  documents: Parameters<Ledger['settleAccess']>[2],
): Promise<Settled[]> {
  await lockHeld(query, of, documents);
  // A later change that waits has narrowed access already: what it holds stays.
  const rows = await query(
    `update etl_document d set acl_hash = i."aclHash", updated_at = now(),
       source_token = coalesce(i."sourceToken", d.source_token), raw_hash = coalesce(i."rawHash", d.raw_hash),
       parse_fp = coalesce(i."parseFp", d.parse_fp), pipeline_fp = coalesce(i."pipelineFp", d.pipeline_fp),
       seq = case when i."sourceToken" is null then d.seq else greatest(d.seq, e.seq) end,
       acl = case when not exists (select from etl_change_event n where n.tenant_id = $1 and n.doc_id = d.doc_id
           and n.state = 'PENDING' and n.seq > e.seq) or 'public' = any (d.acl) then i.acl
         when 'public' = any (i.acl) then d.acl else array(select a from unnest(d.acl) a where a = any (i.acl)) end
     from jsonb_to_recordset($3::jsonb) as i("docId" uuid, fence bigint, acl text[], "aclHash" text, "sourceToken" text, "rawHash" text,
       "parseFp" text, "pipelineFp" text)
     join etl_change_event e on e.tenant_id = $1 and e.batch_id = $2 and e.doc_id = i."docId" and e.state = 'CLAIMED'
     where d.tenant_id = $1 and d.doc_id = i."docId" and d.fence = i.fence and d.claim_batch = $2 returning d.doc_id`,
    [
      of.tenant,
      of.batchId,
      JSON.stringify(
        documents.map(({ bytes, ...one }) => ({ ...one, ...bytes, fence: String(one.fence) })),
      ),
    ],
  );
  const docIds = rows.map((row) => String(row.doc_id));
  if (docIds.length === 0) return [];
  await query(
    `update etl_manifest m set is_behind = true from etl_document d
     where m.tenant_id = $1 and m.doc_id = any($2::uuid[]) and d.tenant_id = $1 and d.doc_id = m.doc_id
       and m.acl_hash is distinct from d.acl_hash`,
    [of.tenant, docIds],
  );
  const settled = await endClaims(query, { ...of, state: 'APPLIED' }, docIds);
  await appendBatchAudit(query, {
    action: 'etl.access-changed',
    resource: { type: 'batch', id: of.batchId },
    after: { documents: docIds },
  });
  return settled;
}

async function quarantine(
  query: Query,
  of: Batch,
  stopped: Parameters<Ledger['quarantine']>[2],
): Promise<void> {
  const held = await lockHeld(query, of, stopped);
  const mine = stopped.filter(({ docId }) => held.has(docId));
  if (mine.length === 0) return;
  const rows = mine.map(({ docId, stage, reason, hides, evidence, rawHash }) => ({
    docId,
    rawHash: rawHash ?? null,
    stage,
    reason,
    hides,
    evidence,
    itemId: newId('quarantineItem'),
  }));
  const input = JSON.stringify(rows);
  // A document that is stopped again for the same reason has one open item, with the latest evidence.
  await query(
    `update etl_quarantine_item q set state = 'RESOLVED', updated_at = now()
     from jsonb_to_recordset($2::jsonb) as i("docId" uuid)
     where q.tenant_id = $1 and q.doc_id = i."docId" and q.state in ('OPEN', 'RETRIED')`,
    [of.tenant, input],
  );
  await query(
    `insert into etl_quarantine_item (tenant_id, item_id, source_id, collection_id, doc_id, rev, stage, reason, evidence,
       raw_hash, state)
     select $1, i."itemId", d.source_id, d.collection_id, d.doc_id, d.live_rev, i.stage, i.reason, i.evidence, i."rawHash", 'OPEN'
     from jsonb_to_recordset($2::jsonb) as i("docId" uuid, "itemId" text, stage text, reason text, evidence jsonb,
       "rawHash" text)
     join etl_document d on d.tenant_id = $1 and d.doc_id = i."docId"`,
    [of.tenant, input],
  );
  await query(
    `update etl_document d set updated_at = now(),
       stale_since = case when d.live_rev is null then null else coalesce(d.stale_since, now()) end,
       hidden_reason = case when i.hides then coalesce(d.hidden_reason, 'quarantine:' || i.reason) else d.hidden_reason end
     from jsonb_to_recordset($2::jsonb) as i("docId" uuid, reason text, hides boolean)
     where d.tenant_id = $1 and d.doc_id = i."docId"`,
    [of.tenant, input],
  );
  const docIds = mine.map(({ docId }) => docId);
  await endClaims(query, { ...of, state: 'QUARANTINED' }, docIds);
  await appendBatchAudit(query, {
    action: 'etl.quarantined',
    resource: { type: 'batch', id: of.batchId },
    after: { documents: rows.map(({ docId, stage, reason }) => ({ docId, stage, reason })) },
  });
}

/** How a claim ends without a new revision (etl.md §3, §8). */
export function createEtlSettlements(
  parts: LedgerParts,
): Pick<Ledger, 'settleUnchanged' | 'settleAccess' | 'quarantine'> {
  const { db } = parts;
  return {
    settleUnchanged: (tenant, batchId, documents) =>
      db.batch(tenant, (query) => settleUnchanged(query, { tenant, batchId }, documents)),
    settleAccess: (tenant, batchId, documents) =>
      db.batch(tenant, (query) => settleAccess(query, { tenant, batchId }, documents)),
    quarantine: (tenant, batchId, stopped) =>
      db.batch(tenant, (query) => quarantine(query, { tenant, batchId }, stopped)),
  };
}
