import type { Embedder } from '../../domain/etl/embedder.js';
import type { Settled } from '../../domain/etl/ledger.js';
import type { VectorSink } from '../../domain/etl/vector-sink.js';
import type { EtlDeps } from './etl-deps.js';
import type { EtlObserver, EtlStage } from './etl-observer.js';

const CHARACTERS_A_TOKEN = 4;

/** An object with some of its functions replaced; the others keep their own `this`. */
const replacing = <T extends object>(object: T, by: Partial<T>): T =>
  new Proxy(object, {
    get: (target, name): unknown => {
      if (name in by) return Reflect.get(by, name);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });

type Timed = <T>(stage: EtlStage, work: () => Promise<T>) => Promise<T>;

const timing =
  (observe: EtlObserver): Timed =>
  async (stage, work) => {
    const since = performance.now();
    try {
      return await work();
    } finally {
      observe.stage(stage, (performance.now() - since) / 1_000);
    }
  };

const observedEmbedder = (embedder: Embedder, observe: EtlObserver, timed: Timed): Embedder =>
  replacing(embedder, {
    embed: async (texts, kind, signal) => {
      const vectors = await timed('embed', () => embedder.embed(texts, kind, signal));
      const characters = texts.reduce((sum, text) => sum + text.length, 0);
      const tokens = Math.ceil(characters / CHARACTERS_A_TOKEN);
      observe.embedded({ texts: texts.length, tokens });
      return vectors;
    },
  });

const observedSink = (sink: VectorSink, observe: EtlObserver, timed: Timed): VectorSink =>
  replacing(sink, {
    replaceRows: async (batch) => {
      const written = await timed('write', () => sink.replaceRows(batch));
      observe.chunksChanged(batch.adds.length);
      return written;
    },
  });

function observedLedger(
  ledger: EtlDeps['ledger'],
  observe: EtlObserver,
  timed: Timed,
): EtlDeps['ledger'] {
  const applied = (settled: Settled[]): Settled[] => {
    for (const { change } of settled) if (change !== undefined) observe.applied(change);
    return settled;
  };
  return replacing(ledger, {
    claimBatch: (claim) => timed('claim', () => ledger.claimBatch(claim)),
    recordIntents: (tenant, batchId, revisions) =>
      timed('intent', () => ledger.recordIntents(tenant, batchId, revisions)),
    commit: async (tenant, batchId, documents) =>
      applied(await timed('commit', () => ledger.commit(tenant, batchId, documents))),
    settleUnchanged: async (tenant, batchId, documents) =>
      applied(await ledger.settleUnchanged(tenant, batchId, documents)),
    settleAccess: async (tenant, batchId, documents) =>
      applied(await ledger.settleAccess(tenant, batchId, documents)),
    quarantine: async (tenant, batchId, stopped) => {
      await ledger.quarantine(tenant, batchId, stopped);
      for (const { stage, reason } of stopped) observe.quarantined({ stage, reason });
    },
  });
}

/** Differences that a reconcile finds are violations: whatever wrote the store should have left none. */
const observedReconciles = (
  reconciles: EtlDeps['reconciles'],
  observe: EtlObserver,
): EtlDeps['reconciles'] =>
  replacing(reconciles, {
    compareRows: async (tenant, generationId, slice) => {
      const found = await reconciles.compareRows(tenant, generationId, slice);
      observe.violation('orphan_row', found.orphanRowIds.length);
      observe.violation('missing_row', found.missing.length);
      return found;
    },
  });

/** The same dependencies, counted and timed; without an observer they are what they were. */
export function observeEtl(deps: EtlDeps): EtlDeps {
  const { observe } = deps;
  if (observe === undefined) return deps;
  const timed = timing(observe);
  return {
    ...deps,
    ledger: observedLedger(deps.ledger, observe, timed),
    reconciles: observedReconciles(deps.reconciles, observe),
    embeddings: replacing(deps.embeddings, {
      findVectors: async (tenant, embedFp, textHashes) => {
        const found = await deps.embeddings.findVectors(tenant, embedFp, textHashes);
        observe.memoHits(found.size);
        return found;
      },
    }),
    parser: { parse: (inputs, signal) => timed('parse', () => deps.parser.parse(inputs, signal)) },
    pullSource: (kind) => {
      const source = deps.pullSource(kind);
      if (source === undefined) return undefined;
      return replacing(source, {
        list: (facts, page) => timed('list', () => source.list(facts, page)),
      });
    },
    embedder: async (tenant, generation) =>
      observedEmbedder(await deps.embedder(tenant, generation), observe, timed),
    sink: async (tenant, generation) =>
      observedSink(await deps.sink(tenant, generation), observe, timed),
  };
}
