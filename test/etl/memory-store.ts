import { PlatformError } from '../../src/domain/errors.js';
import { tokensOrStopWords } from '../../src/domain/etl/tokens.js';
import type {
  AccessFilter,
  GenerationSpec,
  Hit,
  SinkCaps,
  SinkRow,
  VectorSink,
  VectorStore,
} from '../../src/domain/etl/vector-sink.js';
import { createBm25 } from '../../src/domain/retrieval/bm25.js';

const caps: SinkCaps = {
  ...{ replace: 'atomic', tx: 'own', writers: 'many', visibility: 'read-your-write' },
  ...{ nativeBm25: true, alias: false, filter: 'pre', physicalErase: 'rewrite' },
  ...{ maxRows: 100_000, maxBytes: 1e9, maxMetadataBytes: 8192, maxDims: 4096 },
  verifiableErase: true,
};

const allowed = (row: SinkRow, filter: AccessFilter): boolean =>
  row.acl.some((token) => filter.principals.includes(token)) &&
  Object.entries(filter.metadata).every(([name, value]) => row.metadata[name] === value);

const best = (hits: Hit[], k: number): Hit[] =>
  hits.sort((a, b) => b.score - a.score || (a.rowId < b.rowId ? -1 : 1)).slice(0, k);

const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);

function memorySink(spec: GenerationSpec, rows: Map<string, SinkRow>): VectorSink {
  return {
    caps,
    replaceRows: ({ adds, deleteIds }) => {
      if (adds.some(({ vector }) => vector.length !== spec.dims))
        return Promise.reject(new PlatformError('SINK_REFUSED', 'wrong dimensions'));
      for (const row of adds) rows.set(row.rowId, row);
      for (const id of deleteIds) rows.delete(id);
      return Promise.resolve({});
    },
    awaitVisible: () => Promise.resolve(),
    patchAccess: (patches) => {
      for (const { rowId, access } of patches) {
        const row = rows.get(rowId);
        if (row !== undefined) rows.set(rowId, { ...row, ...access });
      }
      return Promise.resolve();
    },
    fetch: (ids) =>
      Promise.resolve(ids.flatMap((id) => (rows.has(id) ? [rows.get(id) as SinkRow] : []))),
    scanIds: async function* (slice) {
      await Promise.resolve();
      for (const { rowId, docId, accessHash } of rows.values())
        if (Math.floor((Number.parseInt(rowId.slice(0, 2), 16) * slice.of) / 256) === slice.index)
          yield { rowId, docId, accessHash };
    },
    search: ({ leg, k, filter }) => {
      if (filter.tenant !== spec.tenant) return Promise.resolve([]);
      const visible = [...rows.values()].filter((row) => allowed(row, filter));
      if ('vector' in leg) {
        const hits = visible.map(({ rowId, docId, vector }) => ({
          ...{ rowId, docId },
          score: dot(vector, leg.vector),
        }));
        return Promise.resolve(best(hits, k));
      }
      if (tokensOrStopWords(leg.text).length === 0) return Promise.resolve([]);
      // Statistics of all rows, like a real index: they do not depend on who asks.
      const index = createBm25([...rows.values()].map(({ rowId, text }) => ({ id: rowId, text })));
      const visibleIds = new Map(visible.map(({ rowId, docId }) => [rowId, docId]));
      const hits = index
        .search(leg.text, rows.size)
        .flatMap(({ id, score }) =>
          visibleIds.has(id) ? [{ rowId: id, docId: visibleIds.get(id) ?? '', score }] : [],
        );
      return Promise.resolve(best(hits, k));
    },
    physicallyErase: (ids) => {
      const erased = ids.filter((id) => rows.delete(id)).length;
      return Promise.resolve({ erased, remaining: 0, proof: 'verified' });
    },
    stats: () => Promise.resolve({ rows: rows.size, unindexedRows: 0, wantsCompaction: false }),
  };
}

/** An exact store in memory: every search looks at every row. For tests of what stands above a store. */
export function createMemoryStore(): VectorStore {
  const generations = new Map<string, Map<string, SinkRow>>();
  const keyOf = ({ tenant, generationId }: GenerationSpec) => `${tenant}/${generationId}`;
  const rowsOf = (spec: GenerationSpec): Map<string, SinkRow> => {
    const rows = generations.get(keyOf(spec)) ?? new Map<string, SinkRow>();
    generations.set(keyOf(spec), rows);
    return rows;
  };
  return {
    name: 'memory',
    caps,
    ensureGeneration: (spec) => {
      rowsOf(spec);
      return Promise.resolve();
    },
    sink: (spec) => memorySink(spec, rowsOf(spec)),
    dropGeneration: (spec) => {
      generations.delete(keyOf(spec));
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}
