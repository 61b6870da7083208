import { errorTable, PlatformError } from '../../domain/errors.js';
import type { GenerationFacts } from '../../domain/etl/ledger.js';
import type { ReadHit } from '../../domain/etl/ledger-reads.js';
import type { Hit, VectorSink } from '../../domain/etl/vector-sink.js';
import type { QueryMode } from '../../domain/retrieval/contract.js';
import type { Candidate, Legs } from '../../domain/retrieval/fuse.js';
import { accessOf, type Reader } from '../../domain/retrieval/principals.js';
import type { RetrievalDeps } from './retrieval-deps.js';

/** One search of one generation. */
export interface Search {
  reader: Reader;
  generation: GenerationFacts;
  /** Scrubbed. */
  text: string;
  mode: QueryMode;
  metadata?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** Where the embedder does not answer: the lexical leg alone. */
  allowDegraded: boolean;
  /** How long the rate of the embedder may be waited for, in ms; undefined: as long as a worker waits. */
  rateDeadlineMs?: number | undefined;
  signal: AbortSignal;
}

/** What both legs found and the reader may see, by chunk. */
export interface Readable {
  legs: Legs;
  chunks: ReadonlyMap<string, ReadHit>;
  /** Candidates that the read filter dropped. */
  dropped: number;
  /** Whether a leg may have more than was asked for. */
  hasMore: boolean;
}

const isTransient = (error: unknown): boolean =>
  error instanceof PlatformError &&
  (error.code === 'EMBEDDER_UNAVAILABLE' || error.code === 'EMBEDDER_RATE_LIMITED');

/** The service is another one now: the generation is searched by words until it is embedded anew. */
const isGone = (error: unknown): boolean =>
  error instanceof PlatformError && error.code === 'EMBEDDER_MISCONFIGURED';

/** The query as a vector; undefined where it holds nothing to embed. */
async function embedQuery(
  deps: RetrievalDeps,
  search: Search,
): Promise<{ vector: Float32Array | undefined; degraded: boolean }> {
  if (search.mode === 'lexical') return { vector: undefined, degraded: false };
  try {
    const embedder = await deps.embedderOf(search.reader.tenant, search.generation);
    if (embedder.embedFp !== search.generation.embedFp)
      throw new PlatformError('EMBEDDER_MISCONFIGURED', 'The embedder is not the generation’s.', {
        internal: `${embedder.embedFp} for ${search.generation.embedFp}`,
      });
    const { rateDeadlineMs: deadlineMs, signal } = search;
    await deps.leaseRate(
      { tenant: search.reader.tenant, embedder, signal, deadlineMs },
      search.text,
    );
    const [vector] = await embedder.embed([search.text], 'query', search.signal);
    return { vector, degraded: false };
  } catch (error) {
    const mayDegrade = search.allowDegraded && search.mode === 'hybrid';
    if (mayDegrade && (isTransient(error) || isGone(error)))
      return { vector: undefined, degraded: true };
    if (!isTransient(error)) throw error;
    throw new PlatformError('EMBEDDER_UNAVAILABLE', errorTable.EMBEDDER_UNAVAILABLE.next, {
      internal: String(error),
    });
  }
}

/** The candidates of a leg that are in the manifest, under their chunk's id. */
const readableLeg = (found: readonly Hit[], byRow: ReadonlyMap<string, ReadHit>): Candidate[] =>
  found.flatMap(({ rowId, score }) => {
    const row = byRow.get(rowId);
    return row === undefined ? [] : [{ id: row.chunkId, score }];
  });

/** Which of the candidates the ledger lets this reader see: one look-up for both legs, so one state of every document. */
async function filterReadable(
  deps: RetrievalDeps,
  search: Search,
  found: readonly Hit[],
): Promise<ReadHit[]> {
  const docOf = new Map(found.map(({ rowId, docId }) => [rowId, docId]));
  if (docOf.size === 0) return [];
  const { tenant, principals, purpose } = search.reader;
  return deps.reads.readFilter(tenant, {
    generationId: search.generation.generationId,
    rowIds: [...docOf.keys()],
    docIds: [...docOf.values()],
    principals,
    purpose,
  });
}

async function searchOnce(
  deps: RetrievalDeps,
  search: Search,
  of: { sink: Pick<VectorSink, 'search'>; vector: Float32Array | undefined; candidates: number },
): Promise<Readable> {
  const { sink, vector, candidates: k } = of;
  const filter = accessOf(search.reader, search.metadata);
  const [lexical, dense] = await Promise.all([
    search.mode === 'dense' ? [] : sink.search({ leg: { text: search.text }, k, filter }),
    vector === undefined ? [] : sink.search({ leg: { vector }, k, filter }),
  ]);
  const found = [...lexical, ...dense];
  const kept = await filterReadable(deps, search, found);
  const byRow = new Map(kept.map((row) => [row.rowId, row]));
  return {
    legs: { lexical: readableLeg(lexical, byRow), dense: readableLeg(dense, byRow) },
    chunks: new Map(kept.map((row) => [row.chunkId, row])),
    dropped: new Set(found.map(({ rowId }) => rowId)).size - byRow.size,
    hasMore: lexical.length >= k || dense.length >= k,
  };
}

/**
 * A generation gets its place in the store with its first row. Before that a search finds nothing; a place that is gone
 * though the ledger knows rows in it is a fault, and is said.
 */
const emptyUntilWritten = (
  sink: VectorSink,
  hasRows: () => Promise<boolean>,
): Pick<VectorSink, 'search'> => ({
  search: async (query) => {
    try {
      return await sink.search(query);
    } catch (error) {
      const mayBeNew = error instanceof PlatformError && error.code === 'SINK_REFUSED';
      if (mayBeNew && !(await hasRows())) return [];
      throw error;
    }
  },
});

/** Candidates a leg at the first look, and at most. */
const MIN_CANDIDATES = 100;
const MAX_CANDIDATES = 1_000;

/**
 * Both legs in parallel with `k' = max(4k, 100)` candidates each, then the read filter; fewer than `k` chunks left and
 * more in the store: again with twice as many, up to 1,000. Scores are normalised over what the reader may see, so a
 * document that is hidden from the reader cannot move another one's score.
 * @throws EMBEDDER_UNAVAILABLE, SINK_UNAVAILABLE, STORE_UNAVAILABLE
 */
export async function searchReadable(
  deps: RetrievalDeps,
  search: Search,
  k: number,
): Promise<Readable & { exhausted: boolean; degraded: boolean }> {
  const { tenant } = search.reader;
  const { generationId, embedFp, dims, sink: store } = search.generation;
  const { vector, degraded } = await embedQuery(deps, search);
  const sink = emptyUntilWritten(
    deps.storeOf(store).sink({ tenant, generationId, embedFp, dims }),
    () => deps.reads.hasRows(tenant, generationId),
  );
  for (let candidates = Math.max(4 * k, MIN_CANDIDATES); ; candidates *= 2) {
    const asked = Math.min(candidates, MAX_CANDIDATES);
    const readable = await searchOnce(deps, search, { sink, vector, candidates: asked });
    const few = readable.chunks.size < k && readable.hasMore;
    if (!few || asked === MAX_CANDIDATES) return { ...readable, exhausted: few, degraded };
  }
}
