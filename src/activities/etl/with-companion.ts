import { checkSinkBatch } from '../../domain/etl/check-sink-batch.js';
import type {
  EraseReport,
  GenerationSpec,
  SinkCaps,
  SinkRow,
  VectorSink,
  VectorStore,
} from '../../domain/etl/vector-sink.js';

/** The same rows without their vectors. */
const textOnly = (rows: readonly SinkRow[]): SinkRow[] =>
  rows.map((row) => ({ ...row, vector: new Float32Array() }));

const textGeneration = (generation: GenerationSpec): GenerationSpec => ({ ...generation, dims: 0 });

const order = ['eventual', 'token', 'read-your-write'] as const;

/** What both stores promise together. */
function joinCaps(primary: SinkCaps, companion: SinkCaps): SinkCaps {
  const weaker = Math.min(order.indexOf(primary.visibility), order.indexOf(companion.visibility));
  return {
    ...primary,
    replace: 'upsert-then-delete',
    tx: 'none',
    writers: companion.writers === 'single' ? 'single' : primary.writers,
    visibility: order[weaker] ?? 'eventual',
    nativeBm25: true,
    maxRows: Math.min(primary.maxRows, companion.maxRows),
    maxBytes: Math.min(primary.maxBytes, companion.maxBytes),
    maxMetadataBytes: Math.min(primary.maxMetadataBytes, companion.maxMetadataBytes),
    verifiableErase: primary.verifiableErase && companion.verifiableErase,
  };
}

function joinErasures(primary: EraseReport, companion: EraseReport): EraseReport {
  const attested = [primary, companion].some(({ proof }) => proof === 'vendor_attested');
  return {
    erased: Math.max(primary.erased, companion.erased),
    remaining: primary.remaining + companion.remaining,
    proof: attested ? 'vendor_attested' : 'verified',
  };
}

function joinSinks(
  { primary, companion }: { primary: VectorSink; companion: VectorSink },
  generation: GenerationSpec,
  caps: SinkCaps,
): VectorSink {
  return {
    caps,
    replaceRows: async ({ adds, deleteIds, epoch, beforeDelete }) => {
      // Checked for both before either writes: the companion sees no vector.
      checkSinkBatch({ adds, deleteIds }, generation, caps);
      // The companion fences first, so a writer that lost the lease changes neither. Nothing is deleted before all of
      // it is added; a crash between leaves the intent open, and repeating is harmless.
      await companion.replaceRows({ adds: textOnly(adds), deleteIds: [], epoch });
      const written = await primary.replaceRows({ adds, deleteIds, epoch, beforeDelete });
      if (deleteIds.length > 0) {
        if (primary.caps.replace === 'atomic') await beforeDelete?.();
        await companion.replaceRows({ adds: [], deleteIds, epoch });
      }
      return written;
    },
    awaitVisible: (token, deadlineMs) => primary.awaitVisible(token, deadlineMs),
    patchAccess: async (patches, epoch) => {
      await companion.patchAccess(patches, epoch);
      await primary.patchAccess(patches, epoch);
    },
    fetch: (rowIds) => primary.fetch(rowIds),
    scanIds: async function* (slice) {
      // Rows of one store alone are named too, so that reconcile removes or repairs them.
      const seen = new Set<string>();
      for await (const row of primary.scanIds(slice)) {
        seen.add(row.rowId);
        yield row;
      }
      for await (const row of companion.scanIds(slice)) if (!seen.has(row.rowId)) yield row;
    },
    search: (query) => ('text' in query.leg ? companion : primary).search(query),
    physicallyErase: async (rowIds, epoch) => {
      const text = await companion.physicallyErase(rowIds, epoch);
      return joinErasures(await primary.physicallyErase(rowIds, epoch), text);
    },
    stats: async () => {
      const [own, text] = await Promise.all([primary.stats(), companion.stats()]);
      return {
        rows: own.rows,
        unindexedRows: Math.max(own.unindexedRows, text.unindexedRows),
        wantsCompaction: own.wantsCompaction || text.wantsCompaction,
      };
    },
    compact: async (epoch) => {
      await companion.compact?.(epoch);
      await primary.compact?.(epoch);
    },
  };
}

/**
 * A store without BM25 with a lexical companion beside it: the same rows, ids and intents; vectors are searched in
 * `primary`, words in `companion`, whose generations have 0 dimensions.
 */
export function withCompanion(primary: VectorStore, companion: VectorStore): VectorStore {
  const caps = joinCaps(primary.caps, companion.caps);
  return {
    name: primary.name,
    caps,
    ensureGeneration: async (generation) => {
      await primary.ensureGeneration(generation);
      await companion.ensureGeneration(textGeneration(generation));
    },
    sink: (generation) => {
      const sinks = {
        primary: primary.sink(generation),
        companion: companion.sink(textGeneration(generation)),
      };
      return joinSinks(sinks, generation, caps);
    },
    dropGeneration: async (generation) => {
      await primary.dropGeneration(generation);
      await companion.dropGeneration(textGeneration(generation));
    },
    close: async () => {
      await primary.close();
      await companion.close();
    },
  };
}
