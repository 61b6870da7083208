import { sha256Hex } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import type { Citation, RetrievedHit } from '../../domain/retrieval/contract.js';
import type { Fused } from '../../domain/retrieval/fuse.js';
import type { Reader } from '../../domain/retrieval/principals.js';
import type { RetrievalDeps } from './retrieval-deps.js';
import type { Readable } from './search-readable.js';
import { mapAtOnce } from './verify-citations.js';

const isGone = (error: unknown): boolean =>
  error instanceof PlatformError &&
  ['NOT_FOUND', 'REVISION_ERASED', 'REVISION_EXPIRED'].includes(error.code);

/** A chunk with its text; undefined where it was hidden, erased or forbidden since the read filter looked. */
async function citeHit(
  deps: RetrievalDeps,
  reader: Reader,
  of: { fused: Fused; readable: Readable },
): Promise<RetrievedHit | undefined> {
  const { fused, readable } = of;
  const chunk = readable.chunks.get(fused.id);
  if (chunk === undefined) return undefined;
  const { docId, rev, start, end } = chunk;
  const { tenant, principals, purpose } = reader;
  try {
    const { text } = await deps.reads.spanText(tenant, {
      ...{ docId, rev, start, end },
      principals,
      purpose,
    });
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
        start,
        end,
        unit: 'utf16',
        textSha256: sha256Hex(text),
        title: chunk.title,
        headingPath: chunk.headingPath,
        page: chunk.page > 0 ? chunk.page : null,
      },
    };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** The first `k` chunks that still can be read, each cited; what went away meanwhile is replaced by the next. */
export async function citeHits(
  deps: RetrievalDeps,
  reader: Reader,
  of: { ranked: readonly Fused[]; readable: Readable; k: number },
): Promise<RetrievedHit[]> {
  const hits: RetrievedHit[] = [];
  let from = 0;
  while (hits.length < of.k && from < of.ranked.length) {
    const next = of.ranked.slice(from, from + of.k - hits.length);
    from += next.length;
    const cited = await mapAtOnce(next, (fused) =>
      citeHit(deps, reader, { fused, readable: of.readable }),
    );
    hits.push(...cited.filter((hit) => hit !== undefined));
  }
  return hits;
}
