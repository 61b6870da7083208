import type { PreparedRevision } from '../../domain/etl/ledger.js';
import type { Query } from './database.js';
import { literal, sealed, type ChunkPath, type LedgerParts } from './etl-rows.js';

const pathOf = (text: string, chunk: PreparedRevision['chunks'][number]): ChunkPath => {
  const span = text.slice(chunk.start, chunk.end);
  return chunk.embedText.endsWith(span)
    ? [chunk.headingPath, chunk.embedText.slice(0, chunk.embedText.length - span.length), 0]
    : [chunk.headingPath, chunk.embedText, 1];
};

/** A revision with its sealed values. */
type SealedRevision = Awaited<ReturnType<typeof sealRevision>>;

/** Seals what a revision says. */
export async function sealRevision(
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

/** What a revision says in the open. */
const factsOf = (revision: PreparedRevision, rev: number) => ({
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
});

const insertSealed = `
  with i as (
    select * from jsonb_to_recordset($2::jsonb) as f("docId" uuid, rev int, "rawHash" text, "textHash" text, "metaHash" text,
      "aclHash" text, "parseFp" text, "chunkFp" text, "pipelineFp" text, "mediaType" text, "rawRef" text, findings jsonb,
      acl text[], "sourceToken" text, seq bigint, simhash bigint, "chunkIds" text, "textHashes" text, starts text, ends text,
      pages text, at int, head int, body int, blocks int, paths int)),
  lists as (
    insert into etl_chunk_list (tenant_id, doc_id, rev, chunk_ids, text_hashes, starts, ends, pages, paths_enc)
    select $1, "docId", rev, "chunkIds"::uuid[], "textHashes"::text[], starts::int[], ends::int[], pages::int[],
      substring($3::bytea from at + head + body + blocks for paths)
    from i),
  taken as (
    update etl_document d set next_rev = i.rev + 1 from i
    where d.tenant_id = $1 and d.doc_id = any ($4::uuid[]) and d.doc_id = i."docId")
  insert into etl_revision (tenant_id, doc_id, rev, raw_hash, text_hash, meta_hash, parse_fp, chunk_fp, media_type,
    head_enc, text_enc, blocks_enc, raw_ref, findings, state, acl, acl_hash, pipeline_fp, source_token, seq, simhash)
  select $1, "docId", rev, "rawHash", "textHash", "metaHash", "parseFp", "chunkFp", "mediaType",
    substring($3::bytea from at for head), substring($3::bytea from at + head for body),
    substring($3::bytea from at + head + body for blocks), "rawRef", findings, 'PREPARED', acl, "aclHash", "pipelineFp",
    "sourceToken", seq, simhash from i`;

/** PREPARED revisions with their chunk lists; takes their numbers. */
export async function insertRevisions(
  query: Query,
  tenant: string,
  revisions: readonly SealedRevision[],
): Promise<void> {
  if (revisions.length === 0) return;
  // The sealed values travel as one binary parameter; each row knows where its own begin (from 1) and how long they are.
  let next = 1;
  const facts = revisions.map(({ revision, rev, head, text, blocks, paths }) => {
    const at = next;
    next += head.length + text.length + blocks.length + paths.length;
    const sizes = { at, head: head.length, body: text.length, blocks: blocks.length };
    return { ...sizes, paths: paths.length, ...factsOf(revision, rev) };
  });
  const bytes = Buffer.concat(
    revisions.flatMap(({ head, text, blocks, paths }) => [head, text, blocks, paths]),
  );
  const docIds = revisions.map(({ revision }) => revision.docId);
  await query(insertSealed, [tenant, JSON.stringify(facts), bytes, docIds]);
}

/** Who the revisions speak of; read only once they are live. */
export async function insertMentions(
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
