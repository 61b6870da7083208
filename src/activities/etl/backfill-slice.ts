import { PlatformError } from '../../domain/errors.js';
import type { OpenWrite } from '../../domain/etl/ledger.js';
import { noSlices, type SliceCounts } from '../../domain/etl/reembed-contract.js';
import type { EtlDeps } from './etl-deps.js';
import { keepClaims, type Beat } from './keep-claims.js';
import type { ReembedDeps } from './reembed-deps.js';
import type { WithEpoch } from './shard-leases.js';
import { writeGeneration } from './write-generation.js';

export interface BackfillSliceInput {
  tenant: string;
  generationId: string;
  batchId: string;
  maxDocuments: number;
}

type Deps = EtlDeps & Pick<ReembedDeps, 'backfills' | 'reembeds'>;

/** @throws NOT_FOUND where the generation was dropped meanwhile */
async function writeSlice(
  deps: Deps,
  of: BackfillSliceInput & { withEpoch: WithEpoch; beat: Beat },
  writes: readonly OpenWrite[],
): Promise<Pick<SliceCounts, 'written' | 'stopped' | 'lost'>> {
  const { tenant, generationId, batchId, withEpoch, beat } = of;
  const generation = await deps.reconciles.findGeneration(tenant, generationId);
  const made = await writeGeneration(deps, { tenant, generation, beat, withEpoch }, writes);
  await deps.failpoint?.('etl.k8');
  const unindexed = new Set(made.unindexed);
  const ready = writes
    .filter(({ docId }) => made.written.has(docId))
    .map(({ docId, fence, rev, addRowIds }) => ({
      ...{ docId, fence, rev, generationIds: [generationId] },
      unindexedRowIds: addRowIds.filter((rowId) => unindexed.has(rowId)),
    }));
  const { stopped } = made;
  if (stopped.length > 0)
    await deps.backfills.quarantineLagging({ tenant, batchId, generationId, stopped });
  const committed = await deps.ledger.commit(tenant, batchId, ready);
  await deps.failpoint?.('etl.k9');
  return {
    written: committed.length,
    stopped: stopped.length,
    lost: ready.length - committed.length,
  };
}

/**
 * Writes documents that a generation lacks, from their stored text: nothing is fetched or parsed. It claims like any
 * writer, so a document has one at a time. What the embedder has no vector for keeps lagging, and serving from the live
 * generation; an item in quarantine names it. A repeat goes on with what it holds.
 * @throws codes of embedder and store, NOT_FOUND
 */
export const createBackfillSlice =
  (deps: Deps, withEpoch: WithEpoch) =>
  (input: BackfillSliceInput): Promise<SliceCounts> =>
    keepClaims(
      () => deps.ledger.renewClaims(input.tenant, input.batchId),
      async (beat) => {
        const { tenant, batchId, generationId } = input;
        const { claimed } = await deps.backfills.claimLagging(input);
        if (claimed === 0) return noSlices;
        try {
          const open = await deps.ledger.openWrites(tenant, batchId);
          const writes = open.filter((write) => write.generationId === generationId);
          return { claimed, ...(await writeSlice(deps, { ...input, withEpoch, beat }, writes)) };
        } catch (error) {
          // A generation that is gone keeps nobody from its documents.
          if (error instanceof PlatformError && error.code === 'NOT_FOUND') return noSlices;
          throw error;
        } finally {
          await deps.reembeds.releaseClaims(tenant, batchId);
        }
      },
    );
