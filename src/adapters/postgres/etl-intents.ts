import { rowId } from '../../domain/etl/fingerprints.js';
import type { Ledger, PreparedRevision } from '../../domain/etl/ledger.js';
import { newestIntent, planRows } from '../../domain/etl/plan.js';
import type { Query, SqlRow } from './database.js';
import { endClaims, lockHeld } from './etl-claim-ends.js';
import type { FreshRevisions } from './etl-fresh-revisions.js';
import { insertMentions, insertRevisions, sealRevision } from './etl-revisions.js';
import {
  all,
  begunRev,
  grouped,
  literal,
  loadStanding,
  type HeldStanding,
  type LedgerParts,
} from './etl-rows.js';
import { newId } from './new-id.js';

/** Generations that are written, by collection; a drop waits until their intents are there, and takes them along. */
async function written(
  query: Query,
  tenant: string,
  collections: readonly string[],
): Promise<Map<string, string[]>> {
  const rows = await query(
    `select collection_id, generation_id from etl_generation
     where tenant_id = $1 and collection_id = any($2::text[]) and state <> 'DROPPED' order by generation_id for share`,
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
  fresh: FreshRevisions,
): Pick<Ledger, 'recordIntents' | 'recordDeletions'> => ({
  recordIntents: async (tenant, batchId, revisions) => {
    const recorded = await parts.db.batch(tenant, (query) =>
      recordIntents(parts, query, { tenant, batchId, revisions }),
    );
    const byId = new Map(revisions.map((revision) => [revision.docId, revision]));
    for (const { docId, rev } of recorded) {
      const revision = byId.get(docId);
      if (revision !== undefined) fresh.keep({ tenant, docId, rev }, revision);
    }
    return recorded;
  },
  recordDeletions: (tenant, batchId, documents) =>
    parts.db.batch(tenant, (query) => recordDeletions(query, { tenant, batchId, documents })),
});
