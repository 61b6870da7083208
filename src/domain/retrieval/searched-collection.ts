import type { GenerationFacts } from '../etl/ledger.js';
import { defaultAlpha, type Fusion } from './fuse.js';

/** A collection as a search needs it. */
export interface SearchedCollection {
  collectionId: string;
  /** Purposes that it may be read for; none named: none allowed. */
  purposes: readonly string[];
  fusion: 'weighted' | 'rrf';
  /** Fitted weight of the lexical leg in basis points; undefined: the embedder's default. */
  alphaBp: number | undefined;
  /** What documents were scrubbed with; queries pass the same. */
  piiPolicy: Record<string, unknown>;
  /** Undefined where no generation was ever live. */
  live: GenerationFacts | undefined;
  /** How far the collection is behind its sources: what was applied by now, the search sees. */
  behind: {
    /** Age of the oldest change that is not applied; 0 where there is none. */
    oldestUnappliedMs: number;
    /** ISO 8601 UTC; undefined where a folder was never listed whole, or there is none. */
    lastCompleteScanAt: string | undefined;
  };
}

/** How the legs of this collection are put together. */
export function fusionOf(
  collection: Pick<SearchedCollection, 'fusion' | 'alphaBp'>,
  embedder: string,
): Fusion {
  if (collection.fusion === 'rrf') return { kind: 'rrf' };
  const { alphaBp } = collection;
  return {
    kind: 'weighted',
    alpha: alphaBp === undefined ? defaultAlpha(embedder) : alphaBp / 10_000,
  };
}
