import type { Ledger } from '../../domain/etl/ledger.js';
import type { Query, SqlRow } from './database.js';
import { lockHeld } from './etl-claim-ends.js';
import { appendBatchAudit } from './etl-commits.js';
import { writeIntents } from './etl-intents.js';
import { loadStanding, type LedgerParts } from './etl-rows.js';
import { newId } from './new-id.js';

type Claim = Parameters<Ledger['claimLagging']>[0];

/**
 * Documents that lag in a generation and that nobody holds; a claim of a backfill that was lost is taken over, one of a
 * batch goes back to its source with its change. A document with a later revision in doubt in this very generation is
 * left to the batch that finishes it. Those that were tried before come last, so that none of them holds up the others.
 */
const lagging = `
  select d.doc_id, d.live_rev, d.next_rev, d.fence + 1 as fence, l.chunk_ids from etl_generation g
  join etl_document d on d.tenant_id = g.tenant_id and d.collection_id = g.collection_id
    and (d.claim_batch is null or (d.claim_until < now() and not exists (select from etl_change_event e
      where e.tenant_id = $1 and e.batch_id = d.claim_batch and e.doc_id = d.doc_id and e.state = 'CLAIMED')))
  left join etl_manifest m on m.tenant_id = $1 and m.generation_id = $2 and m.doc_id = d.doc_id
  left join etl_chunk_list l on l.tenant_id = $1 and l.doc_id = d.doc_id and l.rev = d.live_rev
  where g.tenant_id = $1 and g.generation_id = $2 and g.state <> 'DROPPED' and m.rev is distinct from d.live_rev
    and not exists (select from etl_intent i where i.tenant_id = $1 and i.generation_id = $2 and i.doc_id = d.doc_id
      and i.state = 'OPEN' and i.rev > coalesce(d.live_rev, 0) and d.live_rev is not null)
  order by exists (select from etl_intent i where i.tenant_id = $1 and i.generation_id = $2 and i.doc_id = d.doc_id
    and i.state = 'OPEN'), d.doc_id limit $3 for update of d skip locked for share of g`;

/** What an earlier try of this slice still holds: the higher fence refuses that try, should it be alive. */
async function claimAgain(query: Query, { tenant, batchId }: Claim): Promise<SqlRow[]> {
  return query(
    `update etl_document set fence = fence + 1, claim_until = now() + interval '15 minutes'
     where tenant_id = $1 and claim_batch = $2 returning doc_id`,
    [tenant, batchId],
  );
}

async function claimLagging(query: Query, claim: Claim): Promise<{ claimed: number }> {
  const { tenant, generationId, batchId, maxDocuments } = claim;
  const again = await claimAgain(query, claim);
  if (again.length > 0) return { claimed: again.length };
  const rows = await query(lagging, [tenant, generationId, maxDocuments]);
  const docIds = rows.map((row) => String(row.doc_id));
  if (docIds.length === 0) return { claimed: 0 };
  const standings = await loadStanding(query, tenant, docIds);
  await query(
    `update etl_document set fence = fence + 1, claim_batch = $2, claim_until = now() + interval '15 minutes',
       next_rev = case when live_rev is null then next_rev + 1 else next_rev end
     where tenant_id = $1 and doc_id = any($3::uuid[])`,
    [tenant, batchId, docIds],
  );
  await writeIntents(
    query,
    { tenant, batchId },
    rows.map((row) => ({
      docId: String(row.doc_id),
      rev: Number(row.live_rev ?? row.next_rev),
      fence: BigInt(String(row.fence)),
      chunkIds: (row.chunk_ids as string[] | null) ?? [],
      standing: standings.get(String(row.doc_id)) ?? { manifests: [], intents: [] },
      generationIds: [generationId],
    })),
  );
  return { claimed: rows.length };
}

/** An item that says the same already is brought up to date: a slice tries its documents again and again. */
const noteStops = `
  with stopped as (
    select i.*, d.source_id, d.collection_id, d.live_rev
    from jsonb_to_recordset($3::jsonb) as i("docId" uuid, "itemId" text, stage text, reason text, evidence jsonb)
    join etl_document d on d.tenant_id = $1 and d.doc_id = i."docId"),
  known as (
    update etl_quarantine_item q set state = 'OPEN', rev = s.live_rev, evidence = s.evidence, updated_at = now()
    from stopped s where q.tenant_id = $1 and q.doc_id = s."docId" and q.state in ('OPEN', 'RETRIED')
      and q.evidence->>'generationId' = $2 returning q.doc_id)
  insert into etl_quarantine_item (tenant_id, item_id, source_id, collection_id, doc_id, rev, stage, reason, evidence, state)
  select $1, s."itemId", s.source_id, s.collection_id, s."docId", s.live_rev, s.stage, s.reason, s.evidence, 'OPEN'
  from stopped s where s."docId" not in (select doc_id from known) returning doc_id`;

type StopLagging = Parameters<Ledger['quarantineLagging']>[0];

/** @returns documents of which nothing of the kind was known */
async function quarantineLagging(query: Query, of: StopLagging): Promise<Set<string>> {
  const { tenant, batchId, generationId, stopped } = of;
  const held = await lockHeld(query, of, stopped);
  const rows = stopped
    .filter(({ docId }) => held.has(docId))
    .map(({ docId, stage, reason, evidence }) => ({
      ...{ docId, stage, reason, itemId: newId('quarantineItem') },
      evidence: { ...evidence, generationId },
    }));
  if (rows.length === 0) return new Set();
  const opened = await query(noteStops, [tenant, generationId, JSON.stringify(rows)]);
  const docIds = new Set(opened.map((row) => String(row.doc_id)));
  const documents = rows
    .filter(({ docId }) => docIds.has(docId))
    .map(({ docId, stage, reason }) => ({ docId, stage, reason }));
  if (documents.length > 0)
    await appendBatchAudit(query, {
      action: 'etl.quarantined',
      resource: { type: 'batch', id: batchId },
      after: { generationId, documents },
    });
  return docIds;
}

/** How a generation catches up (etl.md §5, W5). */
export const createEtlBackfills = ({
  db,
  quarantined,
}: LedgerParts): Pick<Ledger, 'claimLagging' | 'quarantineLagging'> => ({
  claimLagging: (claim) => db.batch(claim.tenant, (query) => claimLagging(query, claim)),
  quarantineLagging: async (of) => {
    const opened = await db.batch(of.tenant, (query) => quarantineLagging(query, of));
    for (const { docId, stage, reason } of of.stopped)
      if (opened.has(docId)) quarantined?.({ stage, reason });
  },
});
