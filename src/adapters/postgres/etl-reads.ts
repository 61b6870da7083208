import type {
  LedgerReads,
  ReadHit,
  Span,
  SpanRead,
  SpansQuery,
} from '../../domain/etl/ledger-reads.js';
import { sectionSpan, type PlacedChunk } from '../../domain/retrieval/section-span.js';
import type { SqlRow } from './database.js';
import {
  readJson,
  sealed,
  type ChunkPath,
  type LedgerParts,
  type RevisionHead,
} from './etl-rows.js';

const hitOf = (row: SqlRow): ReadHit => ({
  rowId: String(row.row_id),
  docId: String(row.doc_id),
  rev: Number(row.rev),
  chunkId: String(row.chunk_id),
  chunkAt: Number(row.chunk_at),
  start: Number(row.start_at),
  end: Number(row.end_at),
  page: Number(row.page),
  textHash: String(row.text_hash),
  staleSince: row.stale_since === null ? undefined : (row.stale_since as Date).toISOString(),
});

/** Opens each sealed value once, however many spans share it. */
function opener(decrypt: LedgerParts['cipher']['decrypt']) {
  const opened = new Map<string, Promise<Buffer>>();
  return (owner: Parameters<typeof decrypt>[0], bytes: unknown): Promise<Buffer> => {
    const name = `${owner.column} ${owner.rowId}`;
    const known = opened.get(name);
    if (known !== undefined) return known;
    const value = decrypt(owner, bytes as Buffer);
    opened.set(name, value);
    return value;
  };
}

/** The chunks of a revision as `etl_read_sections` lists them; none where their list is gone. */
function chunksOf({ starts, ends, pages }: SqlRow, paths: readonly ChunkPath[]): PlacedChunk[] {
  const [endOf, pageOf] = [(ends ?? []) as number[], (pages ?? []) as number[]];
  return ((starts ?? []) as number[]).map((start, at) => ({
    start,
    end: endOf[at] ?? start,
    page: pageOf[at] ?? 0,
    headingPath: paths[at]?.[0] ?? [],
  }));
}

async function spanOf(
  open: ReturnType<typeof opener>,
  of: Span & { tenant: string; sectionChars: number | undefined },
  row: SqlRow | undefined,
): Promise<SpanRead> {
  if (row === undefined) return { refused: 'NOT_FOUND' };
  if (row.state === 'ERASED') return { refused: 'REVISION_ERASED' };
  if (row.text_enc === null || row.head_enc === null) return { refused: 'REVISION_EXPIRED' };
  const text = (await open(sealed.revision('text_enc', of), row.text_enc)).toString('utf8');
  const head = readJson<RevisionHead>(await open(sealed.revision('head_enc', of), row.head_enc));
  const paths =
    row.paths_enc === null
      ? []
      : readJson<ChunkPath[]>(await open(sealed.paths(of), row.paths_enc));
  const { chunkAt = 0, sectionChars } = of;
  const section =
    sectionChars === undefined
      ? undefined
      : sectionSpan(chunksOf(row, paths), chunkAt, sectionChars);
  return {
    text: text.slice(of.start, of.end),
    title: head.title,
    headingPath: paths[chunkAt - 1]?.[0] ?? [],
    current: row.current === true,
    ...(section && { section: { ...section, text: text.slice(section.start, section.end) } }),
  };
}

async function readSpans(
  parts: LedgerParts,
  tenant: string,
  { spans, principals, purpose, sectionChars }: SpansQuery,
): Promise<SpanRead[]> {
  if (spans.length === 0) return [];
  const read = sectionChars === undefined ? 'etl_read_spans' : 'etl_read_sections';
  const rows = await parts.db.call(`select * from ${read}($1, $2, $3, $4, $5, $6)`, [
    tenant,
    spans.map(({ docId }) => docId),
    spans.map(({ rev }) => rev),
    spans.map(({ chunkAt }) => chunkAt ?? 0),
    principals,
    purpose,
  ]);
  const rowAt = new Map(rows.map((row) => [Number(row.ord), row]));
  const open = opener(parts.cipher.decrypt);
  return Promise.all(
    spans.map((span, at) => spanOf(open, { ...span, tenant, sectionChars }, rowAt.get(at + 1))),
  );
}

/** What reading asks the ledger: the filter of every hit, and the text of citations. */
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
    return rows.map(hitOf);
  },
  hasRows: (tenant, generationId) =>
    parts.db.batch(tenant, async (query) => {
      const [row] = await query(
        `select exists (select from etl_manifest where tenant_id = $1 and generation_id = $2) as some`,
        [tenant, generationId],
      );
      return row?.some === true;
    }),
  readSpans: (tenant, query) => readSpans(parts, tenant, query),
});
