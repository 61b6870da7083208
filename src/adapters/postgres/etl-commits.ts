import { canonicalJson, digestOf } from '../../domain/digest.js';
import type { AuditActor, AuditFacts } from '../../domain/audit/contract.js';
import type { Ledger, Settled } from '../../domain/etl/ledger.js';
import type { Query, SqlRow } from './database.js';
import { endChanges, freeDocuments, resolveStops } from './etl-claim-ends.js';
import { moveSimhashes } from './etl-near-duplicates.js';
import { bigintOf, bounded, grouped, type LedgerParts } from './etl-rows.js';
import { newId } from './new-id.js';

const ACTOR: AuditActor = { subject: 'system', kind: 'system', roles: [], via: 'etl' };

/** One audit entry for a batch; the last statement, because it locks the head of the chain. */
export async function appendBatchAudit(query: Query, facts: AuditFacts): Promise<void> {
  await query('select audit_append($1)', [canonicalJson({ ...facts, actor: ACTOR })]);
}

type Committed = Parameters<Ledger['commit']>[2][number];

/** A document that may commit: what its intents say, by whether it moves to a revision or catches up with it. */
interface Ready {
  docId: string;
  rev: number;
  sourceId: string;
  collectionId: string;
  /** The live revision is this one already: only a generation catches up. */
  caughtUp: boolean;
  /** An intent without a revision: the document goes. */
  deletion: boolean;
  generationIds: string[];
  /** Rows that no store holds. */
  unindexed: readonly string[];
  simhash: { before: bigint | undefined; after: bigint | undefined };
}

const findReady = `
  select d.doc_id, d.simhash, r.simhash as next_simhash, i.rev, i.gens, d.live_rev, d.source_id, d.collection_id, c.live_generation_id,
    r.rev is null as deletion
  from jsonb_to_recordset($3::jsonb) as i("docId" uuid, fence bigint, rev int, gens text[])
  join etl_document d on d.tenant_id = $1 and d.doc_id = i."docId" and d.fence = i.fence and d.claim_batch = $2
  join etl_collection c on c.tenant_id = $1 and c.collection_id = d.collection_id
  left join etl_revision r on r.tenant_id = $1 and r.doc_id = any ($4::uuid[]) and r.doc_id = d.doc_id and r.rev = i.rev
  order by d.doc_id for update of d`;

async function readyOf(
  query: Query,
  of: { tenant: string; batchId: string },
  documents: readonly Committed[],
): Promise<Ready[]> {
  const input = documents.map(({ docId, fence, rev, generationIds }) => ({
    docId,
    fence: String(fence),
    rev,
    gens: generationIds ?? null,
  }));
  // A flip takes this row for itself: it sees every commit before it, and every commit after it sees the new generation.
  await query(
    `select 1 from etl_collection c where c.tenant_id = $1 and c.collection_id in (
       select collection_id from etl_document where tenant_id = $1 and claim_batch = $2) for share`,
    [of.tenant, of.batchId],
  );
  const rows = await bounded(query, findReady, [
    of.tenant,
    of.batchId,
    JSON.stringify(input),
    documents.map(({ docId }) => docId),
  ]);
  const unindexed = new Map(documents.map((one) => [one.docId, one.unindexedRowIds ?? []]));
  const intents = grouped(
    await query(
      `select doc_id, generation_id, max(rev) as rev from etl_intent
       where tenant_id = $1 and doc_id = any($2::uuid[]) and state = 'OPEN' group by doc_id, generation_id`,
      [of.tenant, rows.map((row) => row.doc_id)],
    ),
  );
  return rows.flatMap((row): Ready[] => {
    const docId = String(row.doc_id);
    const gens = row.gens as string[] | null;
    const generationIds = (intents.get(docId) ?? [])
      .filter((intent) => intent.rev === row.rev)
      .map((intent) => String(intent.generation_id))
      .filter((id) => gens === null || gens.includes(id));
    const caughtUp = row.live_rev === row.rev;
    const live = row.live_generation_id as string | null;
    if (generationIds.length === 0) return [];
    if (!caughtUp && live !== null && !generationIds.includes(live)) {
      // A deletion that only one generation still has to carry out moves nothing in the live one.
      if (!(row.deletion === true && row.live_rev === null)) return [];
    }
    return [
      {
        docId,
        rev: Number(row.rev),
        sourceId: String(row.source_id),
        collectionId: String(row.collection_id),
        caughtUp,
        deletion: row.deletion === true,
        generationIds,
        unindexed: unindexed.get(docId) ?? [],
        simhash: { before: bigintOf(row.simhash), after: bigintOf(row.next_simhash) },
      },
    ];
  });
}

/** Later changes that are recorded and not applied keep what they hold at once (W4). */
const moveDocuments = `
  update etl_document d set live_rev = i.rev, raw_hash = r.raw_hash, text_hash = r.text_hash, meta_hash = r.meta_hash,
    acl_hash = r.acl_hash, parse_fp = r.parse_fp, chunk_fp = r.chunk_fp, pipeline_fp = r.pipeline_fp,
    source_token = r.source_token, seq = greatest(d.seq, r.seq), simhash = r.simhash, stale_since = null,
    hidden_reason = case when d.hidden_reason like 'quarantine:%' then null else d.hidden_reason end,
    deleted_at = case when p.delete_seq > r.seq then d.deleted_at end,
    acl = case when p.seq is null or p.seq <= r.seq or 'public' = any (d.acl) then r.acl when 'public' = any (r.acl) then d.acl
      else array(select a from unnest(d.acl) a where a = any (r.acl)) end,
    claim_batch = null, claim_until = null, lost_claims = 0, updated_at = now()
  from jsonb_to_recordset($2::jsonb) as i("docId" uuid, rev int)
  join etl_revision r on r.tenant_id = $1 and r.doc_id = any ($3::uuid[]) and r.doc_id = i."docId" and r.rev = i.rev
  left join (
    select doc_id, max(seq) as seq, max(seq) filter (where kind = 'delete') as delete_seq from etl_change_event
    where tenant_id = $1 and doc_id = any ($3::uuid[]) and state = 'PENDING' group by doc_id) p on p.doc_id = i."docId"
  where d.tenant_id = $1 and d.doc_id = any ($3::uuid[]) and d.doc_id = i."docId"`;

const removeDocuments = `
  update etl_document d set live_rev = null, deleted_at = coalesce(d.deleted_at, now()), stale_since = null,
    source_token = null, raw_hash = null, text_hash = null, meta_hash = null, parse_fp = null, chunk_fp = null,
    pipeline_fp = null, simhash = null, claim_batch = null, claim_until = null, lost_claims = 0, updated_at = now(),
    seq = greatest(d.seq, (select max(e.seq) from etl_change_event e
      where e.tenant_id = $1 and e.batch_id = d.claim_batch and e.doc_id = d.doc_id and e.state = 'CLAIMED'))
  from jsonb_to_recordset($2::jsonb) as i("docId" uuid) where d.tenant_id = $1 and d.doc_id = any ($3::uuid[]) and d.doc_id = i."docId"`;

// Rows that are kept have the copies of access and metadata that they were last written with; those of a generation that
// catches up have the access of now, which a change that waits may have narrowed.
const manifests = `
  insert into etl_manifest as m (tenant_id, generation_id, doc_id, rev, row_ids, acl_hash, is_behind, meta_hash,
    unindexed_row_ids)
  select $1, i.generation_id, i.doc_id, i.rev, i.row_ids, case when x."caughtUp" and d.acl <> r.acl then '' else r.acl_hash end,
    x."caughtUp" and d.acl <> r.acl, r.meta_hash, array(select u from unnest(x.unindexed) u where u = any (i.row_ids))
  from jsonb_to_recordset($2::jsonb) as x("docId" uuid, rev int, gens text[], "caughtUp" boolean, unindexed uuid[])
  join etl_intent i on i.tenant_id = $1 and i.doc_id = any ($3::uuid[]) and i.doc_id = x."docId" and i.rev = x.rev and i.state = 'OPEN'
    and i.generation_id = any (x.gens)
  join etl_revision r on r.tenant_id = $1 and r.doc_id = any ($3::uuid[]) and r.doc_id = x."docId" and r.rev = x.rev
  join etl_document d on d.tenant_id = $1 and d.doc_id = any ($3::uuid[]) and d.doc_id = x."docId"
  on conflict (tenant_id, generation_id, doc_id) do update
    set rev = excluded.rev, row_ids = excluded.row_ids,
      acl_hash = case when m.row_ids && excluded.row_ids then m.acl_hash else excluded.acl_hash end,
      meta_hash = case when m.row_ids && excluded.row_ids then m.meta_hash else excluded.meta_hash end,
      is_behind = excluded.is_behind or m.row_ids && excluded.row_ids
        and (m.acl_hash, m.meta_hash) is distinct from (excluded.acl_hash, excluded.meta_hash),
      unindexed_row_ids = array(select u from unnest(m.unindexed_row_ids || excluded.unindexed_row_ids) u
        where u = any (excluded.row_ids))`;

const dropManifests = `
  delete from etl_manifest m using jsonb_to_recordset($2::jsonb) as x("docId" uuid, gens text[])
  where m.tenant_id = $1 and m.doc_id = any ($3::uuid[]) and m.doc_id = x."docId" and m.generation_id = any (x.gens)`;

const finishIntents = `
  update etl_intent i set state = 'DONE', done_at = now()
  from jsonb_to_recordset($2::jsonb) as x("docId" uuid, gens text[])
  where i.tenant_id = $1 and i.doc_id = any ($3::uuid[]) and i.doc_id = x."docId" and i.generation_id = any (x.gens) and i.state = 'OPEN'`;

/** What held up a generation does not any more. */
const resolveLagging = `
  update etl_quarantine_item q set state = 'RESOLVED', updated_at = now()
  from jsonb_to_recordset($2::jsonb) as x("docId" uuid, gens text[])
  where q.tenant_id = $1 and q.doc_id = any ($3::uuid[]) and q.doc_id = x."docId" and q.state in ('OPEN', 'RETRIED')
    and q.evidence->>'generationId' = any (x.gens)`;

const moveRevisions = `
  update etl_revision r set state = case when r.rev = x.rev then 'LIVE' else 'SUPERSEDED' end,
    superseded_at = case when r.rev = x.rev then null else now() end
  from jsonb_to_recordset($2::jsonb) as x("docId" uuid, rev int)
  where r.tenant_id = $1 and r.doc_id = any ($3::uuid[]) and r.doc_id = x."docId" and r.state in ('LIVE', 'PREPARED') and r.rev <= x.rev`;

/** One event a source: which of its documents moved, and to which revision. */
async function announce(
  query: Query,
  of: { tenant: string; batchId: string },
  moved: readonly Ready[],
): Promise<void> {
  const sources = new Map<string, Ready[]>();
  for (const one of moved) {
    const group = sources.get(one.sourceId);
    if (group === undefined) sources.set(one.sourceId, [one]);
    else group.push(one);
  }
  const events = [...sources].map(([sourceId, documents]) => ({
    eventId: newId('event'),
    subject: sourceId,
    data: {
      sourceId,
      collectionId: documents[0]?.collectionId,
      batchId: of.batchId,
      documents: documents.map(({ docId, rev, deletion }) => ({
        id: docId,
        ...(deletion ? { deleted: true } : { revision: rev }),
      })),
    },
  }));
  await query(
    `insert into outbox (tenant_id, event_id, type, subject, data)
     select $1, e."eventId", 'anneal.etl.indexed.v1', e.subject, e.data
     from jsonb_to_recordset($2::jsonb) as e("eventId" text, subject text, data jsonb)`,
    [of.tenant, JSON.stringify(events)],
  );
}

async function commit(
  query: Query,
  of: { tenant: string; batchId: string },
  documents: readonly Committed[],
): Promise<Settled[]> {
  const { tenant, batchId } = of;
  const ready = await readyOf(query, of, documents);
  if (ready.length === 0) return [];
  const recordset = (rows: readonly Ready[]): string =>
    JSON.stringify(
      rows.map(({ docId, rev, caughtUp, generationIds, unindexed }) => ({
        ...{ docId, rev, caughtUp, unindexed },
        gens: generationIds,
      })),
    );
  const step = async (sql: string, rows: readonly Ready[]): Promise<SqlRow[]> =>
    rows.length === 0 ? [] : query(sql, [tenant, recordset(rows), rows.map(({ docId }) => docId)]);
  // Each table is bounded to the batch: see `bounded`.
  await query('set local enable_nestloop = off');
  const [caughtUp, moved] = [true, false].map((which) =>
    ready.filter((one) => one.caughtUp === which),
  ) as [Ready[], Ready[]];
  const gone = moved.filter(({ deletion }) => deletion);
  const stay = ready.filter(({ deletion }) => !deletion);
  await step(manifests, stay);
  await step(dropManifests, gone);
  await step(finishIntents, ready);
  await step(
    moveDocuments,
    moved.filter(({ deletion }) => !deletion),
  );
  await step(removeDocuments, gone);
  await moveSimhashes(
    query,
    tenant,
    moved.map(({ docId, collectionId, deletion, simhash }) => ({
      ...{ docId, collectionId },
      before: simhash.before,
      after: deletion ? undefined : simhash.after,
    })),
  );
  await step(moveRevisions, moved);
  await step(resolveLagging, caughtUp);
  const docIds = ready.map(({ docId }) => docId);
  await resolveStops(
    query,
    tenant,
    moved.map(({ docId }) => docId),
  );
  const settled = await endChanges(query, { tenant, batchId, state: 'APPLIED' }, docIds);
  await freeDocuments(
    query,
    of,
    caughtUp.map(({ docId }) => docId),
  );
  if (moved.length > 0) await announce(query, of, moved);
  const facts = ready.map(({ docId, rev, generationIds }) => ({ docId, rev, generationIds }));
  await appendBatchAudit(query, {
    action: 'etl.committed',
    resource: { type: 'batch', id: batchId, digest: digestOf('anneal.etl.committed.v1', facts) },
    after: { documents: ready.length, deleted: gone.length, caughtUp: caughtUp.length },
  });
  return settled;
}

/** COMMIT (etl.md §5): one transaction, compare-and-swap on the fence. */
export const createEtlCommits = (parts: LedgerParts): Pick<Ledger, 'commit'> => ({
  commit: (tenant, batchId, documents) =>
    parts.db.batch(tenant, (query) => commit(query, { tenant, batchId }, documents)),
});
