import type { EtlDeps } from '../../../src/activities/etl/index.js';
import type { VectorSink } from '../../../src/domain/etl/vector-sink.js';

type Announce = (point: string) => Promise<unknown>;

/** Every method of a sink, bound, so that some of them can be replaced. */
export const copyOfSink = (sink: VectorSink): VectorSink => ({
  caps: sink.caps,
  replaceRows: (batch) => sink.replaceRows(batch),
  awaitVisible: (token, deadlineMs) => sink.awaitVisible(token, deadlineMs),
  patchAccess: (patches, epoch) => sink.patchAccess(patches, epoch),
  fetch: (rowIds) => sink.fetch(rowIds),
  scanIds: (slice) => sink.scanIds(slice),
  search: (query) => sink.search(query),
  physicallyErase: (rowIds, epoch) => sink.physicallyErase(rowIds, epoch),
  stats: () => sink.stats(),
  ...(sink.compact === undefined
    ? {}
    : { compact: (epoch) => sink.compact?.(epoch) ?? Promise.resolve() }),
});

/**
 * The failpoint port of `etl`, and two that lie inside the store: K7 while a write is under way (the announcement does
 * not wait, so the kill meets the files being written), K11 before and in the middle of a compaction, which runs
 * whenever it is asked for.
 */
export function withFailpoints(deps: EtlDeps, announce: Announce): EtlDeps {
  return {
    ...deps,
    failpoint: async (name) => void (await announce(name)),
    sink: async (tenant, generation) => {
      const inner = await deps.sink(tenant, generation);
      const sink = copyOfSink(inner);
      sink.replaceRows = async (batch) => {
        await announce('etl.before-write');
        const written = inner.replaceRows(batch);
        void announce('etl.in-write');
        return written;
      };
      const { compact } = sink;
      if (compact !== undefined) {
        sink.stats = async () => ({ ...(await inner.stats()), wantsCompaction: true });
        sink.compact = async (epoch) => {
          await announce('etl.k11');
          const compacted = compact(epoch);
          void announce('etl.in-compaction');
          await compacted;
        };
      }
      return sink;
    },
  };
}
