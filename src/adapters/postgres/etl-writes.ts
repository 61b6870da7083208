import type { Ledger, OpenWrite } from '../../domain/etl/ledger.js';
import type { Query, SqlRow } from './database.js';
import type { FreshRevisions, RevisionContent } from './etl-fresh-revisions.js';
import {
  all,
  bounded,
  hashOfCopy,
  optional,
  readJson,
  sealed,
  type ChunkPath,
  type LedgerParts,
  type RevisionHead,
} from './etl-rows.js';

/** The newest open intent of each document and generation that the batch holds, with its revision. */
const openOf = `
  select distinct on (i.doc_id, i.generation_id) i.intent_id, i.generation_id, i.doc_id, i.rev, d.fence, i.row_ids,
    i.add_row_ids, i.delete_row_ids, i.batch_id,
    case when d.live_rev = i.rev then d.acl else r.acl end as acl,
    case when d.live_rev = i.rev and d.acl <> r.acl then null else r.acl_hash end as acl_hash, l.text_hashes, l.pages
  from etl_document d
  join etl_intent i on i.tenant_id = $1 and i.doc_id = d.doc_id and i.state = 'OPEN'
  left join (select * from etl_revision where tenant_id = $1 and doc_id = any($3::uuid[])) r
    on r.doc_id = d.doc_id and r.rev = i.rev
  left join (select * from etl_chunk_list where tenant_id = $1 and doc_id = any($3::uuid[])) l
    on l.doc_id = d.doc_id and l.rev = i.rev
  where d.tenant_id = $1 and d.claim_batch = $2 and i.doc_id = any($3::uuid[])
  order by i.doc_id, i.generation_id, i.rev desc`;

const contentOf = `
  select l.doc_id, l.rev, r.head_enc, r.text_enc, l.paths_enc, l.starts, l.ends
  from unnest($2::uuid[], $3::int[]) as i(doc_id, rev)
  join etl_revision r on r.tenant_id = $1 and r.doc_id = any($2::uuid[]) and r.doc_id = i.doc_id and r.rev = i.rev
  join etl_chunk_list l on l.tenant_id = $1 and l.doc_id = any($2::uuid[]) and l.doc_id = i.doc_id and l.rev = i.rev
  where r.head_enc is not null and r.text_enc is not null and l.paths_enc is not null`;

const nothing: RevisionContent = { title: '', metadata: {}, embedTexts: [] };

async function findOpen(query: Query, tenant: string, batchId: string): Promise<SqlRow[]> {
  const held = await query(
    `select doc_id from etl_document where tenant_id = $1 and claim_batch = $2`,
    [tenant, batchId],
  );
  const docIds = held.map((row) => row.doc_id);
  return bounded(query, openOf, [tenant, batchId, docIds]);
}

async function openContent(
  { cipher }: LedgerParts,
  tenant: string,
  row: SqlRow,
): Promise<RevisionContent> {
  const of = { tenant, docId: String(row.doc_id), rev: Number(row.rev) };
  const head = await cipher.decrypt(sealed.revision('head_enc', of), row.head_enc as Buffer);
  const opened = await cipher.decrypt(sealed.revision('text_enc', of), row.text_enc as Buffer);
  const paths = await cipher.decrypt(sealed.paths(of), row.paths_enc as Buffer);
  const text = opened.toString('utf8');
  const { title, metadata } = readJson<RevisionHead>(head);
  const [starts, ends] = [row.starts as number[], row.ends as number[]];
  const embedTexts = readJson<ChunkPath[]>(paths).map(([, lead, whole], at) =>
    whole === 1 ? lead : lead + text.slice(starts[at], ends[at]),
  );
  return { title, metadata, embedTexts };
}

const keyOf = (row: SqlRow): string => `${String(row.doc_id)}/${String(row.rev)}`;

/** What the revisions of these rows say: from this process where it has just recorded them, else opened. */
async function contentsOf(
  parts: LedgerParts,
  fresh: FreshRevisions,
  of: { tenant: string; rows: readonly SqlRow[] },
): Promise<Map<string, RevisionContent>> {
  const { tenant, rows } = of;
  const contents = new Map<string, RevisionContent>();
  const wanted = new Map<string, SqlRow>();
  for (const row of rows) {
    const key = keyOf(row);
    if (contents.has(key) || wanted.has(key)) continue;
    const kept = fresh.take({ tenant, docId: String(row.doc_id), rev: Number(row.rev) });
    if (kept !== undefined) contents.set(key, kept);
    else if ((row.add_row_ids as string[]).length > 0) wanted.set(key, row);
  }
  if (wanted.size === 0) return contents;
  const asked = [...wanted.values()];
  const found = await parts.db.batch(tenant, (query) =>
    bounded(query, contentOf, [
      tenant,
      asked.map((row) => row.doc_id),
      asked.map((row) => row.rev),
    ]),
  );
  const opened = await all(found, (row) => openContent(parts, tenant, row));
  found.forEach((row, at) => contents.set(keyOf(row), opened[at] ?? nothing));
  return contents;
}

function addsOf(row: SqlRow, { embedTexts }: RevisionContent): OpenWrite['adds'] {
  const wanted = new Set(row.add_row_ids as string[]);
  if (wanted.size === 0) return [];
  const [hashes, pages] = [row.text_hashes as string[], row.pages as number[]];
  return (row.row_ids as string[]).flatMap((rowId, at) => {
    const embedText = embedTexts[at];
    if (!wanted.has(rowId) || embedText === undefined) return [];
    return [{ rowId, textHash: hashes[at] ?? '', embedText, page: pages[at] ?? 0 }];
  });
}

/** What a batch still has to carry out (etl.md §5). */
export const createEtlWrites = (
  parts: LedgerParts,
  fresh: FreshRevisions,
): Pick<Ledger, 'openWrites'> => ({
  openWrites: async (tenant, batchId) => {
    const found = await parts.db.batch(tenant, (query) => findOpen(query, tenant, batchId));
    const rows = found.filter((row) => row.batch_id === batchId);
    const contents = await contentsOf(parts, fresh, { tenant, rows });
    return rows.map((row): OpenWrite => {
      const content = contents.get(keyOf(row)) ?? nothing;
      return {
        intentId: String(row.intent_id),
        generationId: String(row.generation_id),
        docId: String(row.doc_id),
        rev: Number(row.rev),
        fence: BigInt(String(row.fence)),
        rowIds: row.row_ids as string[],
        addRowIds: row.add_row_ids as string[],
        deleteRowIds: row.delete_row_ids as string[],
        acl: (row.acl as string[] | null) ?? [],
        aclHash:
          optional(row.acl_hash) ?? (row.acl === null ? '' : hashOfCopy(row.acl as string[])),
        title: content.title,
        metadata: content.metadata,
        adds: addsOf(row, content),
      };
    });
  },
});
