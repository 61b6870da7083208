import type { AppliedChange } from '../../domain/etl/ledger.js';

/** What an ingest is timed by. */
export type EtlStage = 'list' | 'claim' | 'parse' | 'intent' | 'embed' | 'write' | 'commit';

/** What is counted and timed; labels are bounded, never a tenant, a key or an id (etl.md §13). */
export interface EtlObserver {
  /** A change is in effect. */
  applied: (change: AppliedChange) => void;
  quarantined: (of: { stage: string; reason: string }) => void;
  /** One call of a stage, failed ones too. */
  stage: (stage: EtlStage, seconds: number) => void;
  memoHits: (vectors: number) => void;
  /** One call of an embedder. `tokens` is an estimate of four characters each. */
  embedded: (of: { texts: number; tokens: number }) => void;
  /** Chunks that a committed write brought to a generation. */
  chunksChanged: (chunks: number) => void;
  /** Rows of a store that are not those of a manifest: found by a reconcile, or after a sampled commit. */
  violation: (
    kind: 'missing_row' | 'orphan_row' | 'undeleted_row' | 'foreign_row',
    rows?: number,
  ) => void;
  /** Chunks that are not indexed because there is nothing in them to embed. */
  unindexed: (chunks: number) => void;
}
