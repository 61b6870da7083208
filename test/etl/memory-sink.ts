import { PlatformError } from '../../src/domain/errors.js';
import type { SinkCaps, SinkRow, VectorSink } from '../../src/domain/etl/vector-sink.js';

const caps: SinkCaps = {
  replace: 'atomic',
  tx: 'own',
  writers: 'single',
  visibility: 'read-your-write',
  nativeBm25: true,
  alias: false,
  filter: 'pre',
  maxRows: 10_000,
  maxBytes: 2 ** 25,
  maxMetadataBytes: 8192,
  maxDims: 4096,
  physicalErase: 'rewrite',
  verifiableErase: true,
};

/** A row store in memory that fails on demand. */
export class MemorySink {
  rows = new Map<string, SinkRow>();
  down = false;
  compactions = 0;
  port(): VectorSink {
    return {
      caps,
      replaceRows: async ({ adds, deleteIds }) => {
        if (this.down) throw new PlatformError('SINK_UNAVAILABLE', 'The store is down.');
        for (const row of adds) this.rows.set(row.rowId, row);
        for (const id of deleteIds) this.rows.delete(id);
        return {};
      },
      awaitVisible: async () => undefined,
      patchAccess: async () => undefined,
      fetch: async (ids) => ids.flatMap((id) => this.rows.get(id) ?? []),
      scanIds: async function* (this: void) {
        yield* [];
      },
      search: async () => [],
      physicallyErase: async () => ({ erased: 0, remaining: 0, proof: 'verified' }),
      stats: async () => ({ rows: this.rows.size, unindexedRows: 0, wantsCompaction: true }),
      compact: async () => {
        this.compactions += 1;
      },
    };
  }
}
