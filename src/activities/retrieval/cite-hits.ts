import { sha256Hex } from '../../domain/digest.js';
import type { ReadHit, SpanRead } from '../../domain/etl/ledger-reads.js';
import type { Citation, Query, RetrievedHit } from '../../domain/retrieval/contract.js';
import type { Fused } from '../../domain/retrieval/fuse.js';
import type { Reader } from '../../domain/retrieval/principals.js';
import { MAX_SECTION_CHARS } from '../../domain/retrieval/section-span.js';
import type { RetrievalDeps } from './retrieval-deps.js';
import type { Readable } from './search-readable.js';

type Read = Exclude<SpanRead, { refused: unknown }>;

/** What names a span of a chunk's revision, for anyone to check again. */
const citationOf = (
  { docId, rev }: ReadHit,
  { title, headingPath }: Read,
  span: { start: number; end: number; page: number; text: string },
): Citation => ({
  documentId: docId as Citation['documentId'],
  revision: rev,
  ...{ start: span.start, end: span.end, unit: 'utf16' },
  textSha256: sha256Hex(span.text),
  ...{ title, headingPath, page: span.page > 0 ? span.page : null },
});

/** A chunk with its text and where it stands. */
function citedHit(fused: Fused, chunk: ReadHit, read: Read): RetrievedHit {
  const { text, section } = read;
  return {
    chunkId: chunk.chunkId,
    text,
    score: fused.score,
    lexicalScore: fused.lexical ?? null,
    denseScore: fused.dense ?? null,
    stale: chunk.staleSince !== undefined,
    citation: citationOf(chunk, read, { ...chunk, text }),
    ...(section && {
      section: {
        text: section.text,
        whole: section.whole,
        citation: citationOf(chunk, read, section),
      },
    }),
  };
}

/**
 * The first `k` chunks that still can be read, each cited; what went away meanwhile is replaced by the next. A section
 * comes with the read of its hit: one look at the ledger, one revision, one filter.
 */
export async function citeHits(
  deps: RetrievalDeps,
  reader: Reader,
  of: {
    ranked: readonly Fused[];
    readable: Readable;
    k: number;
    expand: Query['expand'];
  },
): Promise<RetrievedHit[]> {
  const { tenant, principals, purpose } = reader;
  const ranked = of.ranked.flatMap((fused) => {
    const chunk = of.readable.chunks.get(fused.id);
    return chunk === undefined ? [] : [{ fused, chunk }];
  });
  const hits: RetrievedHit[] = [];
  let from = 0;
  while (hits.length < of.k && from < ranked.length) {
    const next = ranked.slice(from, from + of.k - hits.length);
    from += next.length;
    const spans = next.map(({ chunk: { docId, rev, start, end, chunkAt } }) => ({
      ...{ docId, rev, start, end, chunkAt },
    }));
    const texts = await deps.reads.readSpans(tenant, {
      ...{ spans, principals, purpose },
      sectionChars: of.expand === 'section' ? MAX_SECTION_CHARS : undefined,
    });
    for (const [at, { fused, chunk }] of next.entries()) {
      const span = texts[at];
      // Hidden, erased or forbidden since the read filter looked.
      if (span !== undefined && !('refused' in span)) hits.push(citedHit(fused, chunk, span));
    }
  }
  return hits;
}
