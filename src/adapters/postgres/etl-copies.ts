import type { Ledger } from '../../domain/etl/ledger.js';
import type { SqlRow } from './database.js';
import {
  all,
  hashOfCopy,
  readJson,
  sealed,
  type LedgerParts,
  type RevisionHead,
} from './etl-rows.js';

const behind = `
  select m.doc_id, m.rev, m.row_ids, m.unindexed_row_ids, d.acl, d.meta_hash, l.pages,
    case when m.meta_hash is distinct from d.meta_hash then r.head_enc end as head_enc
  from etl_manifest m
  join etl_document d on d.tenant_id = $1 and d.doc_id = m.doc_id and d.live_rev = m.rev and d.acl_hash is not null
  join etl_chunk_list l on l.tenant_id = $1 and l.doc_id = m.doc_id and l.rev = m.rev
  join etl_revision r on r.tenant_id = $1 and r.doc_id = m.doc_id and r.rev = m.rev
  where m.tenant_id = $1 and m.generation_id = $2 and m.is_behind order by m.doc_id limit $3`;

// What was copied may be narrower than what was committed: then the change that narrows it is still on its way.
const mark = `
  update etl_manifest m set acl_hash = i."aclHash", meta_hash = i."metaHash",
    is_behind = (i.acl, i."metaHash") is distinct from (d.acl, d.meta_hash)
  from jsonb_to_recordset($3::jsonb) as i("docId" uuid, rev int, acl text[], "aclHash" text, "metaHash" text)
  join etl_document d on d.tenant_id = $1 and d.doc_id = i."docId"
  where m.tenant_id = $1 and m.generation_id = $2 and m.doc_id = i."docId" and m.rev = i.rev`;

/** Rows that the store holds, with their pages. */
function storedRows(row: SqlRow): { rowId: string; page: number }[] {
  const absent = new Set(row.unindexed_row_ids as string[]);
  const pages = row.pages as number[];
  return (row.row_ids as string[]).flatMap((rowId, at) =>
    absent.has(rowId) ? [] : [{ rowId, page: pages[at] ?? 0 }],
  );
}

/** What stores still have to copy of the ledger (etl.md §3 rung 5). */
export const createEtlCopies = ({
  db,
  cipher,
}: Pick<LedgerParts, 'db' | 'cipher'>): Pick<Ledger, 'copiesBehind' | 'markCopies'> => ({
  copiesBehind: async (tenant, generationId, limit) => {
    const rows = await db.batch(tenant, (query) => query(behind, [tenant, generationId, limit]));
    return all(rows, async (row) => {
      const of = { tenant, docId: String(row.doc_id), rev: Number(row.rev) };
      const head =
        row.head_enc === null
          ? undefined
          : await cipher.decrypt(sealed.revision('head_enc', of), row.head_enc as Buffer);
      return {
        docId: of.docId,
        rev: of.rev,
        rows: storedRows(row),
        acl: row.acl as string[],
        aclHash: hashOfCopy(row.acl as string[]),
        metadata: head === undefined ? undefined : readJson<RevisionHead>(head).metadata,
        metaHash: String(row.meta_hash),
      };
    });
  },
  markCopies: (tenant, generationId, copies) =>
    db.batch(tenant, async (query) => {
      const marks = copies.map(({ docId, rev, acl, aclHash, metaHash }) => ({
        ...{ docId, rev },
        ...{ acl, aclHash, metaHash },
      }));
      await query(mark, [tenant, generationId, JSON.stringify(marks)]);
    }),
});
