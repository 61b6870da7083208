import type { Embedder } from '../../domain/etl/embedder.js';
import type { GenerationFacts } from '../../domain/etl/ledger.js';
import type { LedgerReads } from '../../domain/etl/ledger-reads.js';
import type { VectorStore } from '../../domain/etl/vector-sink.js';
import type { SearchedCollection } from '../../domain/retrieval/searched-collection.js';

/** What is counted and timed; labels are bounded (etl.md §13). */
export interface RetrievalObserver {
  queried: (of: {
    seconds: number;
    filteredHits: number;
    exhausted: boolean;
    degraded: boolean;
  }) => void;
}

/** What retrieval asks for. */
export interface RetrievalDeps {
  /** The read filter, spans of revisions, and how far a collection is behind. */
  reads: LedgerReads;
  /** @throws NOT_FOUND */
  findSearched: (tenant: string, collectionId: string) => Promise<SearchedCollection>;
  /** Whether the change is searchable. @throws NOT_FOUND for an unknown token */
  isApplied: (tenant: string, changeToken: string) => Promise<boolean>;
  /** @throws SINK_UNAVAILABLE where this process has no such store */
  storeOf: (name: string) => VectorStore;
  /** The embedder that made the generation: never one of configuration. @throws EMBEDDER_MISCONFIGURED */
  embedderOf: (tenant: string, generation: GenerationFacts) => Promise<Embedder>;
  /**
   * Takes the tokens of a text from what all processes together may send to the embedder; at once where it has no rate.
   * @throws EMBEDDER_RATE_LIMITED where that takes longer than `deadlineMs`, or than any step of a worker may wait
   */
  leaseRate: (
    of: {
      tenant: string;
      embedder: Embedder;
      signal: AbortSignal;
      deadlineMs?: number | undefined;
    },
    text: string,
  ) => Promise<void>;
  /** The transform that documents passed, so that pseudonyms match. */
  scrubQuery: (tenant: string, text: string, piiPolicy: Record<string, unknown>) => Promise<string>;
  /** Freshness over which an answer is called stale, in ms: 5 minutes unless configured. */
  freshnessObjectiveMs: number;
  observer?: RetrievalObserver | undefined;
}
