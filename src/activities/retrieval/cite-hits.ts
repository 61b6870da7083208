import { sha256Hex } from '../../domain/digest.js';
import type { ReadHit, SpanRead } from '../../domain/etl/ledger-reads.js';
import type { Citation, RetrievedHit } from '../../domain/retrieval/contract.js';
import type { Fused } from '../../domain/retrieval/fuse.js';
import type { Reader } from '../../domain/retrieval/principals.js';
import type { RetrievalDeps } from './retrieval-deps.js';
import type { Readable } from './search-readable.js';

/** A chunk with its text and where it stands. */
function citedHit(
  fused: Fused,
  chunk: ReadHit,
  { text, title, headingPath }: Exclude<SpanRead, { refused: unknown }>,
): RetrievedHit {
  const { docId, rev, start, end, page } = chunk;
  return {
    chunkId: chunk.chunkId,
    text,
    score: fused.score,
    lexicalScore: fused.lexical ?? null,
    denseScore: fused.dense ?? null,
    stale: chunk.staleSince !== undefined,
    citation: {
      documentId: docId as Citation['documentId'],
      revision: rev,
      ...{ start, end, unit: 'utf16' },
      textSha256: sha256Hex(text),
      ...{ title, headingPath, page: page > 0 ? page : null },
    },
  };
}

/** The first `k` chunks that still can be read, each cited; what went away meanwhile is replaced by the next. */
export async function citeHits(
  deps: RetrievalDeps,
  reader: Reader,
  of: { ranked: readonly Fused[]; readable: Readable; k: number },
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
    const texts = await deps.reads.readSpans(tenant, { spans, principals, purpose });
    for (const [at, { fused, chunk }] of next.entries()) {
      const span = texts[at];
      // Hidden, erased or forbidden since the read filter looked.
      if (span !== undefined && !('refused' in span)) hits.push(citedHit(fused, chunk, span));
    }
  }
  return hits;
}
