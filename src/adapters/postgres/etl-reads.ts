import { PlatformError } from '../../domain/errors.js';
import type { LedgerReads, ReadHit, SpanQuery } from '../../domain/etl/ledger-reads.js';
import type { SqlRow } from './database.js';
import {
  all,
  readJson,
  sealed,
  type ChunkPath,
  type LedgerParts,
  type RevisionHead,
} from './etl-rows.js';

/** Opens each sealed value once, however many hits share it. */
function opener(parts: LedgerParts, tenant: string) {
  const opened = new Map<string, Promise<unknown>>();
  const once = <T>(name: string, load: () => Promise<Buffer>): Promise<T> => {
    const known = opened.get(name) as Promise<T> | undefined;
    if (known !== undefined) return known;
    const value = load().then((bytes) => readJson<T>(bytes));
    opened.set(name, value);
    return value;
  };
  const { decrypt } = parts.cipher;
  return {
    head: (of: { docId: string; rev: number }, bytes: unknown) =>
      once<RevisionHead>(`head ${of.docId}`, () =>
        decrypt(sealed.revision('head_enc', { tenant, ...of }), bytes as Buffer),
      ),
    paths: (of: { docId: string; rev: number }, bytes: unknown) =>
      once<ChunkPath[]>(`paths ${of.docId}`, () =>
        decrypt(sealed.paths({ tenant, ...of }), bytes as Buffer),
      ),
  };
}

async function hitOf(open: ReturnType<typeof opener>, row: SqlRow): Promise<ReadHit> {
  const of = { docId: String(row.doc_id), rev: Number(row.rev) };
  const head = await open.head(of, row.head_enc);
  const paths = await open.paths(of, row.paths_enc);
  return {
    rowId: String(row.row_id),
    ...of,
    chunkId: String(row.chunk_id),
    start: Number(row.start_at),
    end: Number(row.end_at),
    page: Number(row.page),
    headingPath: paths[Number(row.chunk_at) - 1]?.[0] ?? [],
    title: head.title,
    textHash: String(row.text_hash),
    staleSince: row.stale_since === null ? undefined : (row.stale_since as Date).toISOString(),
  };
}

// Whoever may not see the document now may not see what it said before.
const spanOf = `
  select r.state, r.rev = d.live_rev as current, r.head_enc, r.text_enc from etl_document d
  join etl_collection c on c.tenant_id = $1 and c.collection_id = d.collection_id
  join etl_revision r on r.tenant_id = $1 and r.doc_id = d.doc_id and r.rev = $3
  where d.tenant_id = $1 and d.doc_id = $2 and r.state <> 'PREPARED' and d.hidden_reason is null and d.deleted_at is null
    and d.acl && $4::text[] and $5 = any (c.purposes) and not $5 = any (coalesce(d.denied_purposes, '{}'))`;

async function spanText(parts: LedgerParts, tenant: string, span: SpanQuery) {
  const { docId, rev, start, end, principals, purpose } = span;
  const [row] = await parts.db.batch(tenant, (query) =>
    query(spanOf, [tenant, docId, rev, principals, purpose]),
  );
  if (row === undefined) throw new PlatformError('NOT_FOUND', 'There is no such revision.');
  if (row.state === 'ERASED')
    throw new PlatformError('REVISION_ERASED', 'The text of this revision was erased.');
  if (row.text_enc === null || row.head_enc === null) {
    throw new PlatformError('REVISION_EXPIRED', 'The text of this revision is no longer kept.');
  }
  const of = { tenant, docId, rev };
  const { decrypt } = parts.cipher;
  const text = await decrypt(sealed.revision('text_enc', of), row.text_enc as Buffer);
  const head = await decrypt(sealed.revision('head_enc', of), row.head_enc as Buffer);
  return {
    text: text.toString('utf8').slice(start, end),
    title: readJson<RevisionHead>(head).title,
    current: row.current === true,
  };
}

/** What reading asks the ledger: the filter of every hit, the text of a citation, and how far it is behind. */
export const createEtlReads = (parts: LedgerParts): LedgerReads => ({
  readFilter: async (tenant, { generationId, rowIds, docIds, principals, purpose }) => {
    if (rowIds.length === 0 || principals.length === 0) return [];
    const rows = await parts.db.call('select * from etl_read_filter($1, $2, $3, $4, $5, $6)', [
      tenant,
      generationId,
      rowIds,
      docIds,
      principals,
      purpose,
    ]);
    const open = opener(parts, tenant);
    return all(rows, (row) => hitOf(open, row));
  },
  hasRows: (tenant, generationId) =>
    parts.db.batch(tenant, async (query) => {
      const [row] = await query(
        `select exists (select from etl_manifest where tenant_id = $1 and generation_id = $2) as some`,
        [tenant, generationId],
      );
      return row?.some === true;
    }),
  spanText: (tenant, span) => spanText(parts, tenant, span),
  freshness: (tenant, collectionId) =>
    parts.db.batch(tenant, async (query) => {
      // The collection is as old as its oldest source: one that was never listed whole says nothing of completeness.
      const [row] = await query(
        `select coalesce(extract(epoch from now() - min(e.oldest)) * 1000, 0)::bigint as oldest,
           case when bool_and(s.last_complete_scan_at is not null) filter (where s.kind = 'folder')
             then min(s.last_complete_scan_at) filter (where s.kind = 'folder') end as scanned
         from etl_source s cross join lateral (
           select min(received_at) as oldest from etl_change_event c where c.tenant_id = $1 and c.source_id = s.source_id
             and c.state in ('PENDING', 'CLAIMED')) e
         where s.tenant_id = $1 and s.collection_id = $2 and s.state <> 'DELETED'`,
        [tenant, collectionId],
      );
      const scanned = row?.scanned;
      return {
        oldestUnappliedMs: Math.max(0, Number(row?.oldest ?? 0)),
        lastCompleteScanAt: scanned instanceof Date ? scanned.toISOString() : undefined,
      };
    }),
});
