import { PlatformError } from '../../domain/errors.js';
import { rowMetadata } from '../../domain/etl/row-metadata.js';
import type { MissingRow } from '../../domain/etl/scan.js';
import type { ReconcileCounts } from '../../domain/etl/contract.js';
import type { Slice } from '../../domain/etl/vector-sink.js';
import { embedTexts } from './embed-texts.js';
import type { EtlDeps } from './etl-deps.js';
import { keepClaims } from './keep-claims.js';
import { workflowCaller } from '../run-of.js';
import type { WithEpoch } from './shard-leases.js';
import { writeRows } from './write-rows.js';

export interface ReconcileSliceInput {
  tenant: string;
  reconcileId: string;
  generationId: string;
  slice: Slice;
}

/**
 * Compares one slice of a store with the manifests and puts it right: orphans go, missing rows are embedded and written
 * again, stale access copies follow the ledger. A repeat finds what is still wrong.
 * @throws codes of embedder and store, EMBEDDER_DRIFTED, NOT_FOUND
 */
export const createReconcileSlice =
  (deps: EtlDeps, withEpoch: WithEpoch) =>
  ({ tenant, reconcileId, generationId, slice }: ReconcileSliceInput): Promise<ReconcileCounts> =>
    keepClaims(
      () => deps.ledger.renewClaims(tenant, reconcileId),
      async ({ signal, note }) => {
        const generation = await deps.reconciles.findGeneration(tenant, generationId);
        const sink = await deps.sink(tenant, generation);
        const rows = sink.scanIds(slice);
        const found = await deps.reconciles.compareRows(tenant, generationId, {
          ...slice,
          ...{ reconcileId, rows },
        });
        note(1);
        if (generation.drifted && found.missing.length > 0)
          throw new PlatformError(
            'EMBEDDER_DRIFTED',
            'The embedder answers differently than it did.',
          );
        const embedder = await deps.embedder(tenant, generation);
        const tasks = found.missing.map(({ textHash, embedText }) => ({
          textHash,
          text: embedText,
        }));
        const progress = { tenant, embedder, signal, note: () => note(2) };
        const vectors = await embedTexts(deps, progress, tasks);
        // A text without a word has no vector and never had a row: it is not missing.
        const adds = found.missing.flatMap((row: MissingRow) => {
          const one = vectors.get(row.textHash);
          if (one === undefined || !('vector' in one)) return [];
          const { rowId, docId, embedText, acl, aclHash } = row;
          const access = { acl: [...acl].sort(), accessHash: aclHash };
          const metadata = rowMetadata(row.metadata, row.page);
          return [{ rowId, docId, vector: one.vector, text: embedText, ...access, metadata }];
        });
        const patches = found.stale.map(({ rowId, acl, aclHash }) => ({
          rowId,
          access: { acl: [...acl].sort(), accessHash: aclHash },
        }));
        await withEpoch({ tenant, generationId, sink, signal }, async (epoch) => {
          await writeRows(sink, [{ docId: '', adds, deleteIds: found.orphanRowIds }], { epoch });
          for (let at = 0; at < patches.length; at += sink.caps.maxRows)
            await sink.patchAccess(patches.slice(at, at + sink.caps.maxRows), await epoch());
        });
        const counts = {
          orphans: found.orphanRowIds.length,
          missing: adds.length,
          stale: patches.length,
        };
        await deps.reconciles.recordSlice(workflowCaller(tenant), reconcileId, {
          index: slice.index,
          ...counts,
        });
        return { rows: found.rows, ...counts };
      },
    );
