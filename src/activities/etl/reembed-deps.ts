import type { Ledger } from '../../domain/etl/ledger.js';
import type { LedgerGenerations } from '../../domain/etl/ledger-generations.js';
import type { FitLedger, FittedEmbedder, ReembedLedger } from '../../domain/etl/reembed.js';
import type { GenerationSpec } from '../../domain/etl/vector-sink.js';

/** What re-embedding asks for besides what every writer does. */
export interface ReembedDeps {
  backfills: Pick<Ledger, 'claimLagging' | 'quarantineLagging'>;
  generations: LedgerGenerations;
  reembeds: ReembedLedger;
  fits: FitLedger;
  /**
   * Fits an embedder in a process of its own and stores its artifact; equal texts give equal artifacts.
   * @throws EMBEDDER_MISCONFIGURED where there is nothing to fit on, EMBEDDER_UNKNOWN
   */
  fit: (
    of: { tenant: string; embedder: string; texts: AsyncIterable<string> },
    signal: AbortSignal,
  ) => Promise<FittedEmbedder>;
  /** Removes a generation's place in its store; idempotent. @throws SINK_UNAVAILABLE (retryable), SINK_UNKNOWN */
  dropPlace: (place: GenerationSpec & { sink: string }) => Promise<void>;
}
