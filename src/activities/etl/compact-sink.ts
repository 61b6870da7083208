import type { EtlDeps } from './etl-deps.js';
import { keepClaims } from './keep-claims.js';
import type { WithEpoch } from './shard-leases.js';

export interface CompactSinkInput {
  tenant: string;
  generationId: string;
}

/**
 * Merges new rows of a store into its indexes and removes old versions, under the shard lease, where the store asks for
 * it. A repeat finds nothing left to do.
 * @throws SINK_UNAVAILABLE (retryable), NOT_FOUND
 */
export const createCompactSink =
  (deps: EtlDeps, withEpoch: WithEpoch) =>
  ({ tenant, generationId }: CompactSinkInput): Promise<{ compacted: boolean; rows: number }> =>
    keepClaims(
      async () => undefined,
      async ({ signal }) => {
        const generation = await deps.reconciles.findGeneration(tenant, generationId);
        const sink = await deps.sink(tenant, generation);
        const { rows, wantsCompaction } = await sink.stats();
        const { compact } = sink;
        if (!wantsCompaction || compact === undefined) return { compacted: false, rows };
        await withEpoch({ tenant, generationId, sink, signal }, async (epoch) =>
          compact(await epoch()),
        );
        return { compacted: true, rows };
      },
    );
