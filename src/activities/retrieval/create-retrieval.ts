import { PlatformError } from '../../domain/errors.js';
import type { GenerationFacts } from '../../domain/etl/ledger.js';
import type {
  Freshness,
  Query,
  QueryMode,
  RetrievalAnswer,
  VerifyCitations,
} from '../../domain/retrieval/contract.js';
import { fuse, type Fusion } from '../../domain/retrieval/fuse.js';
import { readerOf, type Reader } from '../../domain/retrieval/principals.js';
import { fusionOf, type SearchedCollection } from '../../domain/retrieval/searched-collection.js';
import { citeHits } from './cite-hits.js';
import type { RetrievalDeps } from './retrieval-deps.js';
import { searchReadable } from './search-readable.js';
import { verifyCitations } from './verify-citations.js';

/** Who asks, as the edge knows it. */
export interface Asking {
  tenant: string;
  subject: string;
  groups: readonly string[];
  /** Whether the caller holds `retrieval:delegate`. */
  mayDelegate: boolean;
}

/** Somebody waits for the answer: documents of a backlog may have the embedder no longer than this. */
const QUERY_RATE_DEADLINE_MS = 2_000;

/** The reader that a request is answered for. @throws FORBIDDEN where a delegation is not allowed */
function readerFor(asking: Asking, request: Pick<Query, 'purpose' | 'onBehalfOf'>): Reader {
  const { tenant } = asking;
  const { purpose, onBehalfOf } = request;
  if (onBehalfOf === undefined) return readerOf({ ...asking, purpose });
  if (!asking.mayDelegate)
    throw new PlatformError('FORBIDDEN', 'This needs the permission retrieval:delegate.', {
      errors: [{ pointer: '/onBehalfOf', code: 'forbidden' }],
    });
  return readerOf({ tenant, ...onBehalfOf, purpose });
}

/** @throws PURPOSE_DENIED, NOT_YET_INDEXED */
async function assertAskable(
  deps: RetrievalDeps,
  collection: SearchedCollection,
  of: { tenant: string; query: Query },
): Promise<GenerationFacts> {
  const { purpose, after } = of.query;
  if (!collection.purposes.includes(purpose))
    throw new PlatformError('PURPOSE_DENIED', 'The collection does not allow this purpose.', {
      errors: [{ pointer: '/purpose', code: 'denied' }],
    });
  if (collection.live === undefined || (after && !(await deps.isApplied(of.tenant, after))))
    throw new PlatformError('NOT_YET_INDEXED', 'The change is still on its way.');
  return collection.live;
}

const freshnessOf = (deps: RetrievalDeps, { behind }: SearchedCollection): Freshness => ({
  oldestUnappliedMs: behind.oldestUnappliedMs,
  lastCompleteScanAt: behind.lastCompleteScanAt ?? null,
  stale: behind.oldestUnappliedMs > deps.freshnessObjectiveMs,
});

/** A leg that answers alone keeps its own order, whatever the collection's weight. */
function fusionFor(
  collection: SearchedCollection,
  of: { embedder: string; mode: QueryMode; degraded: boolean },
): Fusion {
  if (of.mode === 'lexical' || of.degraded) return { kind: 'weighted', alpha: 1 };
  if (of.mode === 'dense') return { kind: 'weighted', alpha: 0 };
  return fusionOf(collection, of.embedder);
}

async function answer(
  deps: RetrievalDeps,
  asking: Asking,
  of: { collectionId: string; query: Query; signal: AbortSignal },
): Promise<RetrievalAnswer> {
  const { query, signal } = of;
  const since = performance.now();
  const reader = readerFor(asking, query);
  const collection = await deps.findSearched(reader.tenant, of.collectionId);
  const generation = await assertAskable(deps, collection, { tenant: reader.tenant, query });
  const text = await deps.scrubQuery(reader.tenant, query.text, collection.piiPolicy);
  const { mode, allowDegraded, filter: metadata, k, expand } = query;
  const rateDeadlineMs = QUERY_RATE_DEADLINE_MS;
  const search = {
    ...{ reader, generation, text, mode, metadata, allowDegraded, signal, rateDeadlineMs },
  };
  const found = await searchReadable(deps, search, k);
  const { degraded } = found;
  const ranked = fuse(
    found.legs,
    fusionFor(collection, { embedder: generation.embedder, mode, degraded }),
  );
  const hits = await citeHits(deps, reader, { ranked, readable: found, k, expand });
  deps.observer?.queried({
    seconds: (performance.now() - since) / 1_000,
    filteredHits: found.dropped,
    exhausted: found.exhausted,
    degraded,
  });
  return {
    hits,
    collectionId: of.collectionId as RetrievalAnswer['collectionId'],
    generationId: generation.generationId,
    embedFp: generation.embedFp,
    freshness: freshnessOf(deps, collection),
    exhausted: found.exhausted,
    degraded,
  };
}

/**
 * Search with citations (etl.md §11): authorise → both legs → read filter → fuse → cite. Reads only; nothing here needs a
 * workflow. Every answer comes from one generation, every document in it stands at one revision.
 */
export const createRetrieval = (deps: RetrievalDeps) => ({
  /**
   * @throws FORBIDDEN, NOT_FOUND, PURPOSE_DENIED, NOT_YET_INDEXED, EMBEDDER_UNAVAILABLE, SINK_UNAVAILABLE,
   * STORE_UNAVAILABLE; never an unfiltered answer
   */
  query: (
    asking: Asking,
    of: { collectionId: string; query: Query; signal: AbortSignal },
  ): Promise<RetrievalAnswer> => answer(deps, asking, of),

  /** Verdict of each citation by hash, in order. @throws FORBIDDEN, STORE_UNAVAILABLE */
  verify: async (asking: Asking, request: VerifyCitations) => ({
    verdicts: await verifyCitations(deps, readerFor(asking, request), request.citations),
  }),
});
