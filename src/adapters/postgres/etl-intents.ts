import { rowId } from '../../domain/etl/fingerprints.js';
import type { ChangeKind, Ledger, PreparedRevision, Settled } from '../../domain/etl/ledger.js';
import { newestIntent, planRows } from '../../domain/etl/plan.js';
import type { Query, SqlRow } from './database.js';
import {
  all,
  begunRev,
  grouped,
  literal,
  loadStanding,
  sealed,
  type ChunkPath,
  type HeldStanding,
  type LedgerParts,
} from './etl-rows.js';
import { newId } from './new-id.js';

/** A document that the batch holds, locked, as INTENT finds it. */
interface Held {
  docId: string;
  liveRev: number | undefined;
  nextRev: number;
  fence: bigint;
  seq: bigint;
  collectionId: string;
}

/** Locks what the batch still holds under these fences, in order of the id. */
export async function lockHeld(
  query: Query,
  of: { tenant: string; batchId: string },
  documents: readonly { docId: string; fence: bigint }[],
): Promise<Map<string, Held>> {
  const rows = await query(
    `select d.doc_id, d.live_rev, d.next_rev, d.fence, d.seq, d.collection_id
     from unnest($3::uuid[], $4::bigint[]) as i(doc_id, fence)
     join etl_document d on d.tenant_id = $1 and d.doc_id = i.doc_id and d.fence = i.fence and d.claim_batch = $2
     order by d.doc_id for update of d`,
    [of.tenant, of.batchId, documents.map((d) => d.docId), documents.map((d) => String(d.fence))],
  );
  return new Map(
    rows.map((row) => [
      String(row.doc_id),
      {
        docId: String(row.doc_id),
        liveRev: row.live_rev === null ? undefined : Number(row.live_rev),
        nextRev: Number(row.next_rev),
        fence: BigInt(String(row.fence)),
        seq: BigInt(String(row.seq)),
        collectionId: String(row.collection_id),
      },
    ]),
  );
}

const appliedChange = (row: SqlRow): Settled => ({
  docId: String(row.doc_id),
  change: {
    sourceKind: String(row.source_kind),
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
  if (docIds.length === 0) return [];
  const ended = await query(
    `update etl_change_event e set state = $4, applied_at = case when $4 = 'APPLIED' then now() end
     where e.tenant_id = $1 and e.batch_id = $2 and e.state = 'CLAIMED' and e.doc_id = any($3::uuid[])
     returning e.doc_id::text, e.kind, extract(epoch from clock_timestamp() - e.received_at) as lag,
       extract(epoch from clock_timestamp() - e.changed_at) as changed_lag,
       (select s.kind from etl_source s where s.tenant_id = $1 and s.source_id = e.source_id) as source_kind`,
    [of.tenant, of.batchId, docIds, of.state],
  );
  await query(
    `update etl_document set claim_batch = null, claim_until = null, lost_claims = 0, updated_at = now()
     where tenant_id = $1 and claim_batch = $2 and doc_id = any($3::uuid[])`,
    [of.tenant, of.batchId, docIds],
  );
  const changes = new Map(ended.map((row) => [String(row.doc_id), appliedChange(row)]));
  return docIds.map((docId) => changes.get(docId) ?? { docId });
}

/** Generations that are written, by collection. */
async function written(
  query: Query,
  tenant: string,
  collections: readonly string[],
): Promise<Map<string, string[]>> {
  const rows = await query(
    `select collection_id, generation_id from etl_generation
     where tenant_id = $1 and collection_id = any($2::text[]) and state <> 'DROPPED' order by generation_id`,
    [tenant, collections],
  );
  const found = new Map<string, string[]>();
  for (const row of rows) {
    const id = String(row.collection_id);
    found.set(id, [...(found.get(id) ?? []), String(row.generation_id)]);
  }
  return found;
}

/** One document's writes to be recorded. */
export interface Writes {
  docId: string;
  rev: number;
  fence: bigint;
  chunkIds: readonly string[];
  standing: HeldStanding;
  generationIds: readonly string[];
}

/** PLAN for every document and generation, and the intents; one that is taken over moves to this batch. */
export async function writeIntents(
  query: Query,
  of: { tenant: string; batchId: string },
  writes: readonly Writes[],
): Promise<void> {
  const takenOver: { intentId: string; fence: string }[] = [];
  const fresh: Record<string, unknown>[] = [];
  for (const { docId, rev, fence, chunkIds, standing, generationIds } of writes) {
    for (const generationId of generationIds) {
      const open = standing.intents.filter((intent) => intent.generationId === generationId);
      const newest = newestIntent(open);
      if (newest?.rev === rev) {
        takenOver.push({ intentId: newest.intentId, fence: String(fence) });
        continue;
      }
      const manifest = standing.manifests.find((one) => one.generationId === generationId);
      const plan = planRows({ generationId, rev, chunkIds, manifest, open, rowId });
      fresh.push({
        intentId: newId('writeIntent'),
        generationId,
        docId,
        rev,
        fence: String(fence),
        rowIds: literal(plan.rowIds),
        adds: literal(plan.addRowIds),
        deletes: literal(plan.deleteRowIds),
      });
    }
  }
  if (takenOver.length > 0) {
    await query(
      `update etl_intent i set batch_id = $2, fence = t.fence
       from jsonb_to_recordset($3::jsonb) as t("intentId" text, fence bigint)
       where i.tenant_id = $1 and i.intent_id = t."intentId"`,
      [of.tenant, of.batchId, JSON.stringify(takenOver)],
    );
  }
  if (fresh.length === 0) return;
  await query(
    `insert into etl_intent (tenant_id, intent_id, generation_id, doc_id, rev, fence, batch_id, row_ids, add_row_ids,
       delete_row_ids, state)
     select $1, i."intentId", i."generationId", i."docId", i.rev, i.fence, $2, i."rowIds"::uuid[], i.adds::uuid[],
       i.deletes::uuid[], 'OPEN'
     from jsonb_to_recordset($3::jsonb) as i("intentId" text, "generationId" text, "docId" uuid, rev int, fence bigint,
       "rowIds" text, adds text, deletes text)`,
    [of.tenant, of.batchId, JSON.stringify(fresh)],
  );
}

const sameRevision = (row: SqlRow, revision: PreparedRevision): boolean =>
  row.raw_hash === revision.rawHash &&
  row.text_hash === revision.textHash &&
  row.meta_hash === revision.metaHash &&
  row.acl_hash === revision.aclHash &&
  row.parse_fp === revision.parseFp &&
  row.chunk_fp === revision.chunkFp &&
  String(row.seq) === String(revision.seq) &&
  row.source_token === revision.sourceToken &&
  (row.chunk_ids as string[]).join() === revision.chunks.map(({ chunkId }) => chunkId).join();

/** W2: the revision that was begun last, of documents where the retry made the same one. */
async function takeovers(
  query: Query,
  tenant: string,
  of: { revision: PreparedRevision; begun: number }[],
): Promise<Map<string, number>> {
  if (of.length === 0) return new Map();
  const rows = await query(
    `select r.*, l.chunk_ids from unnest($2::uuid[], $3::int[]) as i(doc_id, rev)
     join etl_revision r on r.tenant_id = $1 and r.doc_id = any($2) and r.doc_id = i.doc_id and r.rev = i.rev and r.state = 'PREPARED'
     join etl_chunk_list l on l.tenant_id = $1 and l.doc_id = any($2) and l.doc_id = i.doc_id and l.rev = i.rev`,
    [tenant, of.map(({ revision }) => revision.docId), of.map(({ begun }) => begun)],
  );
  const found = grouped(rows);
  const same = of.filter(({ revision }) =>
    (found.get(revision.docId) ?? []).some((row) => sameRevision(row, revision)),
  );
  return new Map(same.map(({ revision, begun }) => [revision.docId, begun]));
}

const pathOf = (text: string, chunk: PreparedRevision['chunks'][number]): ChunkPath => {
  const span = text.slice(chunk.start, chunk.end);
  return chunk.embedText.endsWith(span)
    ? [chunk.headingPath, chunk.embedText.slice(0, chunk.embedText.length - span.length), 0]
    : [chunk.headingPath, chunk.embedText, 1];
};

async function sealRevision(
  parts: LedgerParts,
  tenant: string,
  { revision, rev }: { revision: PreparedRevision; rev: number },
) {
  const of = { tenant, docId: revision.docId, rev };
  const { title, metadata, subjects, text, blocks, chunks } = revision;
  const { encrypt } = parts.cipher;
  const paths = chunks.map((chunk) => pathOf(text, chunk));
  return {
    revision,
    rev,
    head: await encrypt(
      sealed.revision('head_enc', of),
      JSON.stringify({ title, metadata, subjects }),
    ),
    text: await encrypt(sealed.revision('text_enc', of), text),
    blocks: await encrypt(sealed.revision('blocks_enc', of), JSON.stringify(blocks)),
    paths: await encrypt(sealed.paths(of), JSON.stringify(paths)),
  };
}

async function insertRevisions(
  query: Query,
  tenant: string,
  revisions: Awaited<ReturnType<typeof sealRevision>>[],
): Promise<void> {
  if (revisions.length === 0) return;
  const facts = revisions.map(({ revision, rev }) => ({
    docId: revision.docId,
    rev,
    rawHash: revision.rawHash,
    textHash: revision.textHash,
    metaHash: revision.metaHash,
    aclHash: revision.aclHash,
    parseFp: revision.parseFp,
    chunkFp: revision.chunkFp,
    pipelineFp: revision.pipelineFp,
    mediaType: revision.mediaType,
    rawRef: revision.rawRef ?? null,
    findings: revision.findings,
    acl: revision.acl,
    sourceToken: revision.sourceToken,
    seq: String(revision.seq),
    simhash: revision.simhash === undefined ? null : String(BigInt.asIntN(64, revision.simhash)),
    chunkIds: literal(revision.chunks.map((chunk) => chunk.chunkId)),
    textHashes: literal(revision.chunks.map((chunk) => chunk.textHash)),
    starts: literal(revision.chunks.map((chunk) => chunk.start)),
    ends: literal(revision.chunks.map((chunk) => chunk.end)),
    pages: literal(revision.chunks.map((chunk) => chunk.page)),
  }));
  await query(
    `with i as (
       select f.*, s.head, s.body, s.blocks, s.paths
       from rows from (jsonb_to_recordset($2::jsonb) as ("docId" uuid, rev int, "rawHash" text, "textHash" text,
           "metaHash" text, "aclHash" text, "parseFp" text, "chunkFp" text, "pipelineFp" text, "mediaType" text,
           "rawRef" text, findings jsonb, acl text[], "sourceToken" text, seq bigint, simhash bigint, "chunkIds" text,
           "textHashes" text, starts text, ends text, pages text)) with ordinality
         as f("docId", rev, "rawHash", "textHash", "metaHash", "aclHash", "parseFp", "chunkFp", "pipelineFp", "mediaType",
           "rawRef", findings, acl, "sourceToken", seq, simhash, "chunkIds", "textHashes", starts, ends, pages, ord)
       join unnest($3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[]) with ordinality
         as s(head, body, blocks, paths, ord) using (ord)),
     lists as (
       insert into etl_chunk_list (tenant_id, doc_id, rev, chunk_ids, text_hashes, starts, ends, pages, paths_enc)
       select $1, "docId", rev, "chunkIds"::uuid[], "textHashes"::text[], starts::int[], ends::int[], pages::int[], paths
       from i),
     taken as (
       update etl_document d set next_rev = i.rev + 1 from i where d.tenant_id = $1 and d.doc_id = i."docId")
     insert into etl_revision (tenant_id, doc_id, rev, raw_hash, text_hash, meta_hash, parse_fp, chunk_fp, media_type,
       head_enc, text_enc, blocks_enc, raw_ref, findings, state, acl, acl_hash, pipeline_fp, source_token, seq, simhash)
     select $1, "docId", rev, "rawHash", "textHash", "metaHash", "parseFp", "chunkFp", "mediaType", head, body, blocks,
       "rawRef", findings, 'PREPARED', acl, "aclHash", "pipelineFp", "sourceToken", seq, simhash from i`,
    [
      tenant,
      JSON.stringify(facts),
      revisions.map(({ head }) => head),
      revisions.map(({ text }) => text),
      revisions.map(({ blocks }) => blocks),
      revisions.map(({ paths }) => paths),
    ],
  );
}

/** Who the revisions speak of; read only once they are live. */
async function insertMentions(
  query: Query,
  tenant: string,
  revisions: readonly { revision: PreparedRevision; rev: number }[],
): Promise<void> {
  const mentions = revisions.flatMap(({ revision, rev }) =>
    (revision.mentions ?? []).map((mention) => ({ ...mention, docId: revision.docId, rev })),
  );
  if (mentions.length === 0) return;
  await query(
    `insert into etl_subject_mention (tenant_id, subject_hmac, doc_id, rev, declared)
     select $1, m."subjectHmac", m."docId", m.rev, bool_or(m.declared)
     from jsonb_to_recordset($2::jsonb) as m("subjectHmac" text, "docId" uuid, rev int, declared boolean)
     group by m."subjectHmac", m."docId", m.rev on conflict do nothing`,
    [tenant, JSON.stringify(mentions)],
  );
}

async function recordIntents(
  parts: LedgerParts,
  query: Query,
  of: { tenant: string; batchId: string; revisions: readonly PreparedRevision[] },
): Promise<{ docId: string; rev: number }[]> {
  const { tenant, batchId } = of;
  const held = await lockHeld(query, of, of.revisions);
  const mine = of.revisions.filter(({ docId }) => held.has(docId));
  const late = mine.filter(({ docId, seq }) => seq < (held.get(docId)?.seq ?? 0n));
  await endClaims(
    query,
    { tenant, batchId, state: 'SUPERSEDED' },
    late.map((one) => one.docId),
  );
  const wanted = mine.filter((revision) => !late.includes(revision));
  const standings = await loadStanding(
    query,
    tenant,
    wanted.map(({ docId }) => docId),
  );
  const generations = await written(query, tenant, [
    ...new Set([...held.values()].map(({ collectionId }) => collectionId)),
  ]);
  const standingOf = (docId: string) => standings.get(docId) ?? { manifests: [], intents: [] };
  const begun = wanted
    .map((revision) => ({
      revision,
      begun: begunRev(standingOf(revision.docId), held.get(revision.docId)?.liveRev),
    }))
    .filter((one) => one.begun > 0);
  const same = await takeovers(query, tenant, begun);
  const placed = wanted.map((revision) => ({
    revision,
    rev: same.get(revision.docId) ?? held.get(revision.docId)?.nextRev ?? 1,
  }));
  const news = placed.filter(({ revision }) => !same.has(revision.docId));
  await insertRevisions(query, tenant, await all(news, (one) => sealRevision(parts, tenant, one)));
  await insertMentions(query, tenant, news);
  await writeIntents(
    query,
    of,
    placed.map(({ revision, rev }) => ({
      docId: revision.docId,
      rev,
      fence: revision.fence,
      chunkIds: revision.chunks.map(({ chunkId }) => chunkId),
      standing: standingOf(revision.docId),
      generationIds: generations.get(held.get(revision.docId)?.collectionId ?? '') ?? [],
    })),
  );
  return placed.map(({ revision, rev }) => ({ docId: revision.docId, rev }));
}

async function recordDeletions(
  query: Query,
  of: {
    tenant: string;
    batchId: string;
    documents: readonly { docId: string; fence: bigint; seq: bigint }[];
  },
): Promise<void> {
  const { tenant, batchId } = of;
  const held = await lockHeld(query, of, of.documents);
  const mine = of.documents.filter(({ docId }) => held.has(docId));
  const late = mine.filter(({ docId, seq }) => seq < (held.get(docId)?.seq ?? 0n));
  await endClaims(
    query,
    { tenant, batchId, state: 'SUPERSEDED' },
    late.map((one) => one.docId),
  );
  const wanted = mine.filter((one) => !late.includes(one));
  const docIds = wanted.map(({ docId }) => docId);
  const standings = await loadStanding(query, tenant, docIds);
  const generations = await written(query, tenant, [
    ...new Set([...held.values()].map(({ collectionId }) => collectionId)),
  ]);
  await writeIntents(
    query,
    of,
    wanted.map(({ docId, fence }) => ({
      docId,
      rev: held.get(docId)?.nextRev ?? 1,
      fence,
      chunkIds: [],
      standing: standings.get(docId) ?? { manifests: [], intents: [] },
      generationIds: generations.get(held.get(docId)?.collectionId ?? '') ?? [],
    })),
  );
  await query(
    `update etl_document set next_rev = next_rev + 1, deleted_at = coalesce(deleted_at, now())
     where tenant_id = $1 and doc_id = any($2::uuid[])`,
    [tenant, docIds],
  );
}

/** INTENT (etl.md §5). */
export const createEtlIntents = (
  parts: LedgerParts,
): Pick<Ledger, 'recordIntents' | 'recordDeletions'> => ({
  recordIntents: (tenant, batchId, revisions) =>
    parts.db.batch(tenant, (query) => recordIntents(parts, query, { tenant, batchId, revisions })),
  recordDeletions: (tenant, batchId, documents) =>
    parts.db.batch(tenant, (query) => recordDeletions(query, { tenant, batchId, documents })),
});
