import { sinkRowBytes } from '../../domain/etl/check-sink-batch.js';
import type { SinkCaps, SinkRow, VectorSink } from '../../domain/etl/vector-sink.js';

/** What one document needs of a store: adds first, then deletes. */
export interface RowChange {
  docId: string;
  adds: SinkRow[];
  deleteIds: string[];
}

const VISIBLE_MS = 30_000;

/** One call of the store. */
interface RowBatch {
  adds: SinkRow[];
  deleteIds: string[];
}

/** Cuts the rows of documents into batches within the store's limits; deletes of a document come with or after its adds. */
function* batchesOf(
  changes: readonly RowChange[],
  { maxRows, maxBytes }: SinkCaps,
): Generator<RowBatch> {
  let open: RowBatch = { adds: [], deleteIds: [] };
  let bytes = 0;
  const isFull = (more: number) =>
    open.adds.length + open.deleteIds.length >= maxRows || bytes + more > maxBytes;
  const isEmpty = () => open.adds.length + open.deleteIds.length === 0;
  for (const { adds, deleteIds } of changes) {
    for (const row of adds) {
      const more = sinkRowBytes(row);
      if (!isEmpty() && isFull(more)) {
        yield open;
        open = { adds: [], deleteIds: [] };
        bytes = 0;
      }
      open.adds.push(row);
      bytes += more;
    }
    for (const id of deleteIds) {
      if (!isEmpty() && isFull(0)) {
        yield open;
        open = { adds: [], deleteIds: [] };
        bytes = 0;
      }
      open.deleteIds.push(id);
    }
  }
  if (!isEmpty()) yield open;
}

/**
 * APPLY: writes the rows of documents and waits until they are visible. A repeat writes the same rows again.
 * @param how `epoch` is asked for before every call: it renews a lease that would not outlast the call.
 *   `beforeDelete` runs between upsert and delete of a store that does both in two steps, else before the write
 * @throws SINK_UNAVAILABLE (retryable), SINK_REFUSED, SINK_FENCED
 */
export async function writeRows(
  sink: VectorSink,
  changes: readonly RowChange[],
  how: {
    epoch: () => Promise<bigint | undefined>;
    beforeDelete?: (() => Promise<void>) | undefined;
  },
): Promise<void> {
  const { beforeDelete } = how;
  for (const batch of batchesOf(changes, sink.caps)) {
    if (sink.caps.replace === 'atomic') await beforeDelete?.();
    const epoch = await how.epoch();
    const { token } = await sink.replaceRows({ ...batch, epoch, beforeDelete });
    if (token !== undefined) await sink.awaitVisible(token, VISIBLE_MS);
  }
}
