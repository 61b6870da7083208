import type { Ledger, OpenWrite } from '../../domain/etl/ledger.js';
import type { Query, SqlRow } from './database.js';
import {
  all,
  bounded,
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
    case when d.live_rev = i.rev then d.acl_hash else r.acl_hash end as acl_hash,
    case when cardinality(i.add_row_ids) > 0 then r.head_enc end as head_enc,
    case when cardinality(i.add_row_ids) > 0 then r.text_enc end as text_enc,
    case when cardinality(i.add_row_ids) > 0 then l.paths_enc end as paths_enc,
    l.text_hashes, l.starts, l.ends, l.pages
  from etl_document d
  join etl_intent i on i.tenant_id = $1 and i.doc_id = d.doc_id and i.state = 'OPEN'
  left join (select * from etl_revision where tenant_id = $1 and doc_id = any($3::uuid[])) r
    on r.doc_id = d.doc_id and r.rev = i.rev
  left join (select * from etl_chunk_list where tenant_id = $1 and doc_id = any($3::uuid[])) l
    on l.doc_id = d.doc_id and l.rev = i.rev
  where d.tenant_id = $1 and d.claim_batch = $2 and i.doc_id = any($3::uuid[])
  order by i.doc_id, i.generation_id, i.rev desc`;

async function findOpen(query: Query, tenant: string, batchId: string): Promise<SqlRow[]> {
  const held = await query(
    `select doc_id from etl_document where tenant_id = $1 and claim_batch = $2`,
    [tenant, batchId],
  );
  const docIds = held.map((row) => row.doc_id);
  return bounded(query, openOf, [tenant, batchId, docIds]);
}

/** What opening a revision yields; kept per document, because each generation adds the same chunks. */
interface Opened {
  title: string;
  metadata: Record<string, unknown>;
  text: string;
  paths: ChunkPath[];
}

const nothing: Opened = { title: '', metadata: {}, text: '', paths: [] };

async function open(parts: LedgerParts, tenant: string, row: SqlRow): Promise<Opened> {
  const of = { tenant, docId: String(row.doc_id), rev: Number(row.rev) };
  const { decrypt } = parts.cipher;
  if (row.head_enc === null || row.text_enc === null || row.paths_enc === null) {
    return nothing;
  }
  const head = await decrypt(sealed.revision('head_enc', of), row.head_enc as Buffer);
  const text = await decrypt(sealed.revision('text_enc', of), row.text_enc as Buffer);
  const paths = await decrypt(sealed.paths(of), row.paths_enc as Buffer);
  const { title, metadata } = readJson<RevisionHead>(head);
  return {
    title,
    metadata,
    text: text.toString('utf8'),
    paths: readJson<ChunkPath[]>(paths),
  };
}

function addsOf(row: SqlRow, { text, paths }: Opened): OpenWrite['adds'] {
  const wanted = new Set(row.add_row_ids as string[]);
  if (wanted.size === 0) return [];
  const [hashes, starts, ends, pages] = [
    row.text_hashes as string[],
    row.starts as number[],
    row.ends as number[],
    row.pages as number[],
  ];
  return (row.row_ids as string[]).flatMap((rowId, at) => {
    const path = paths[at];
    if (!wanted.has(rowId) || path === undefined) return [];
    const [, lead, whole] = path;
    const embedText = whole === 1 ? lead : lead + text.slice(starts[at], ends[at]);
    return [{ rowId, textHash: hashes[at] ?? '', embedText, page: pages[at] ?? 0 }];
  });
}

/** What a batch still has to carry out (etl.md §5). */
export function createEtlWrites(parts: LedgerParts): Pick<Ledger, 'openWrites'> {
  return {
    openWrites: async (tenant, batchId) => {
      const rows = await parts.db.batch(tenant, (query) => findOpen(query, tenant, batchId));
      const mine = rows.filter((row) => row.batch_id === batchId);
      const opened = new Map<string, Promise<Opened>>();
      return all(mine, async (row): Promise<OpenWrite> => {
        const key = `${String(row.doc_id)}/${String(row.rev)}`;
        const adds = row.add_row_ids as string[];
        const content =
          adds.length === 0
            ? Promise.resolve(nothing)
            : (opened.get(key) ?? open(parts, tenant, row));
        if (adds.length > 0) opened.set(key, content);
        const revision = await content;
        return {
          intentId: String(row.intent_id),
          generationId: String(row.generation_id),
          docId: String(row.doc_id),
          rev: Number(row.rev),
          fence: BigInt(String(row.fence)),
          rowIds: row.row_ids as string[],
          addRowIds: adds,
          deleteRowIds: row.delete_row_ids as string[],
          acl: (row.acl as string[] | null) ?? [],
          aclHash: optional(row.acl_hash) ?? '',
          title: revision.title,
          metadata: revision.metadata,
          adds: addsOf(row, revision),
        };
      });
    },
  };
}
