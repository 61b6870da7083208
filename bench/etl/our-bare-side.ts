import { countTokens } from '../../src/adapters/embedding-openai/count-tokens.js';
import type { EtlDeps } from '../../src/activities/etl/index.js';
import type { SinkCaps, SinkRow, VectorSink } from '../../src/domain/etl/vector-sink.js';
import type { Documents, SourceState } from './corpus.js';
import { Crash, type HeldChunk, type Provided, type Side, type StoreMeter } from './engine.js';
import { MemoryLedger } from './memory-ledger.js';
import { embedFpOf } from './metered-embedder.js';
import { createOurEngine, memorySource, noScrubber, textParser } from './our-engine.js';

const caps: SinkCaps = {
  replace: 'atomic',
  tx: 'own',
  writers: 'many',
  visibility: 'read-your-write',
  nativeBm25: false,
  alias: false,
  filter: 'pre',
  maxRows: 10_000,
  maxBytes: 2 ** 26,
  maxMetadataBytes: 8_192,
  maxDims: 4_096,
  physicalErase: 'rewrite',
  verifiableErase: true,
};

/** Writes of a store with their count, and the place where a run may end in the middle of one. */
export function meteredSink(sink: VectorSink, meter: StoreMeter): VectorSink {
  return {
    ...sink,
    caps: sink.caps,
    replaceRows: async (batch) => {
      const { crash } = meter;
      if (crash === undefined || batch.adds.length === 0) {
        meter.writes += batch.adds.length + batch.deleteIds.length;
        return sink.replaceRows(batch);
      }
      meter.crash = undefined;
      const adds = crash === 'half' ? batch.adds.slice(0, batch.adds.length / 2) : batch.adds;
      const deleteIds = crash === 'half' ? [] : batch.deleteIds;
      meter.writes += adds.length + deleteIds.length;
      await sink.replaceRows({ ...batch, adds, deleteIds });
      throw new Crash('after rows were added');
    },
    patchAccess: (patches, epoch) => {
      meter.writes += patches.length;
      return sink.patchAccess(patches, epoch);
    },
  };
}

/** A store of maps. */
function memorySink(rows: Map<string, SinkRow>): VectorSink {
  return {
    caps,
    replaceRows: async ({ adds, deleteIds }) => {
      for (const row of adds) rows.set(row.rowId, row);
      for (const id of deleteIds) rows.delete(id);
      return {};
    },
    awaitVisible: async () => undefined,
    patchAccess: async (patches) => {
      for (const { rowId, access } of patches) {
        const row = rows.get(rowId);
        if (row !== undefined) rows.set(rowId, { ...row, ...access });
      }
    },
    fetch: async (ids) => ids.flatMap((id) => rows.get(id) ?? []),
    scanIds: async function* (this: void) {
      yield* [];
    },
    search: async () => [],
    physicallyErase: async () => ({ erased: 0, remaining: 0, proof: 'verified' }),
    stats: async () => ({ rows: rows.size, unindexedRows: 0, wantsCompaction: false }),
  };
}

/** Rows as the judge compares them. */
export const heldRows = (
  rows: Iterable<SinkRow>,
  keyOf: (docId: string) => string,
  embedder: SourceState['embedder'],
): HeldChunk[] =>
  [...rows].map(({ docId, text, acl }) => ({
    document: keyOf(docId),
    text,
    acl: [...acl].sort().join(','),
    embedder,
  }));

/** The version of the embedder that a generation names. */
export const versionOf = ({ embedFp }: { embedFp: string }): SourceState['embedder'] =>
  embedFp === embedFpOf('v2') ? 'v2' : 'v1';

/** What the activities ask for beside ledger and store, the same for the engine alone and the durable one. */
export const sharedDeps = (
  { embedder }: Provided,
  documents: () => Documents,
): Pick<
  EtlDeps,
  | 'pullSource'
  | 'readArtifact'
  | 'parser'
  | 'scrubber'
  | 'chunkTokens'
  | 'embedder'
  | 'processId'
  | 'log'
> => ({
  pullSource: () => memorySource(documents),
  readArtifact: async () => new Uint8Array(),
  parser: textParser,
  scrubber: noScrubber,
  chunkTokens: { tokenizer: 'cl100k_base', max: 8_192, count: countTokens },
  embedder: async (_tenant, generation) => embedder.port(versionOf(generation)),
  processId: 'prc_bench',
  log: { warn: (facts, message) => process.stdout.write(`${message} ${JSON.stringify(facts)}\n`) },
});

/** The engine alone: our activities over a ledger and a store of maps. */
export const ourBare: Side = {
  name: 'Anneal',
  open: async (provided) => {
    const ledger = new MemoryLedger();
    const stores = new Map<string, Map<string, SinkRow>>();
    let documents: Documents = new Map();
    const rowsOf = (generationId: string): Map<string, SinkRow> => {
      const rows = stores.get(generationId) ?? new Map<string, SinkRow>();
      stores.set(generationId, rows);
      return rows;
    };
    const deps: EtlDeps = {
      ...sharedDeps(provided, () => documents),
      ledger: ledger.port(),
      scans: ledger.scans,
      embeddings: {
        findVectors: async () => new Map(),
        saveVectors: async () => undefined,
        leaseTokens: async (_tenant, _fp, { want }) => ({ granted: want, retryAfterMs: 0 }),
      },
      shards: {
        acquireShard: async () => ({ epoch: 1n }),
        renewShard: async () => true,
        releaseShard: async () => undefined,
      },
      reconciles: {
        findGeneration: () => Promise.reject(new Error('nothing is reconciled here')),
        compareRows: () => Promise.reject(new Error('nothing is reconciled here')),
        recordSlice: async () => undefined,
        settleReconcile: async () => undefined,
      },
      pauseSource: async () => undefined,
      sink: async (_tenant, { generationId }) =>
        meteredSink(memorySink(rowsOf(generationId)), provided.meter),
    };
    const live = () => ledger.generations.find(({ state }) => state === 'LIVE');
    return createOurEngine(
      {
        tenant: ledger.tenant,
        sourceId: ledger.sourceId,
        deps,
        beginScan: async () => 'scn_bench',
        setChunking: async (chars) => void (ledger.chunkChars = chars),
        beginGeneration: async (version) => ledger.beginGeneration(version),
        claimLagging: async (generationId, batchId) => ledger.claimLagging(generationId, batchId),
        lagging: async () => 0,
        flip: async (generationId) => ledger.flip(generationId),
        held: async () => {
          const generation = live();
          if (generation === undefined) return [];
          const keyOf = (id: string) => ledger.documents.get(id)?.naturalKey ?? id;
          return heldRows(rowsOf(generation.generationId).values(), keyOf, versionOf(generation));
        },
        restart: async () => undefined,
        close: async () => undefined,
      },
      (next) => {
        documents = next;
      },
    );
  },
};
