import type { EtlDeps } from '../../../src/activities/etl/index.js';
import type { GenerationFacts, OpenWrite } from '../../../src/domain/etl/ledger.js';
import type { VectorSink } from '../../../src/domain/etl/vector-sink.js';
import { announceFailpoint } from '../announce-failpoint.js';
import { copyOfSink } from './with-failpoints.js';

// Five mistakes that pipelines make, each planted by wrapping what the activities are given. A checker that misses one
// is the bug to fix first.

const withSink = (
  deps: EtlDeps,
  change: (
    sink: VectorSink,
    inner: VectorSink,
    of: { tenant: string; generation: GenerationFacts },
  ) => void,
): EtlDeps => ({
  ...deps,
  sink: async (tenant, generation) => {
    const inner = await deps.sink(tenant, generation);
    const sink = copyOfSink(inner);
    change(sink, inner, { tenant, generation });
    return sink;
  },
});

/** The document counts as done as soon as it is planned; whoever dies before the vectors are written has lost them. */
function stateBeforeEmbedding(deps: EtlDeps): EtlDeps {
  const owed = new Map<string, OpenWrite[]>();
  const { ledger } = deps;
  return {
    ...deps,
    ledger: {
      ...ledger,
      recordIntents: async (tenant, batchId, revisions) => {
        const recorded = await ledger.recordIntents(tenant, batchId, revisions);
        const writes = await ledger.openWrites(tenant, batchId);
        owed.set(batchId, [...(owed.get(batchId) ?? []), ...writes]);
        const fences = new Map(
          writes.map(({ docId, fence, rev }) => [docId, { docId, fence, rev }]),
        );
        await ledger.commit(tenant, batchId, [...fences.values()]);
        return recorded;
      },
      openWrites: async (tenant, batchId) => [
        ...(owed.get(batchId) ?? []),
        ...(await ledger.openWrites(tenant, batchId)),
      ],
    },
  };
}

/** Old rows go before new ones come. */
const deleteBeforeAdd = (deps: EtlDeps): EtlDeps =>
  withSink(deps, (sink, inner) => {
    sink.replaceRows = async ({ adds, deleteIds, epoch }) => {
      if (deleteIds.length > 0) {
        await inner.replaceRows({ adds: [], deleteIds, epoch });
        await announceFailpoint('planted.between');
      }
      return inner.replaceRows({ adds, deleteIds: [], epoch });
    };
  });

/** Whatever a batch did not mention is taken for gone. */
const cleanupPerBatch = (deps: EtlDeps): EtlDeps =>
  withSink(deps, (sink, inner) => {
    sink.replaceRows = async (batch) => {
      const mentioned = new Set(batch.adds.map(({ docId }) => docId));
      const unmentioned: string[] = [];
      for await (const { rowId, docId } of inner.scanIds({ index: 0, of: 1 }))
        if (!mentioned.has(docId)) unmentioned.push(rowId);
      const deleteIds = [...new Set([...batch.deleteIds, ...unmentioned.slice(0, 4)])];
      return inner.replaceRows({ ...batch, deleteIds });
    };
  });

/** A change of the access list alone is no change. */
const nestedAclIgnored = (deps: EtlDeps): EtlDeps => ({
  ...deps,
  ledger: {
    ...deps.ledger,
    settleAccess: (tenant, batchId, documents) =>
      deps.ledger.settleUnchanged(
        tenant,
        batchId,
        documents.map(({ docId, fence }) => ({ docId, fence, sourceToken: '' })),
      ),
  },
});

/** Equal text of a document has one row for ever: what an earlier plan deletes, a later one has just added. */
function rowIdReused(deps: EtlDeps): EtlDeps {
  return withSink(deps, (sink, inner) => {
    sink.replaceRows = async (batch) => {
      const doomed = await inner.fetch([...batch.deleteIds]);
      const textsOf = new Set(doomed.map(({ docId, text }) => `${docId} ${text}`));
      const written = await inner.replaceRows(batch);
      const reused = batch.adds
        .filter(({ docId, text }) => textsOf.has(`${docId} ${text}`))
        .map(({ rowId }) => rowId);
      if (reused.length > 0)
        await inner.replaceRows({ adds: [], deleteIds: reused, epoch: batch.epoch });
      return written;
    };
  });
}

export const plantedFaults = {
  'state stored before embedding': stateBeforeEmbedding,
  'delete before add': deleteBeforeAdd,
  'cleanup per batch': cleanupPerBatch,
  'nested ACL ignored': nestedAclIgnored,
  'row id reused': rowIdReused,
} as const satisfies Record<string, (deps: EtlDeps) => EtlDeps>;
export type PlantedFault = keyof typeof plantedFaults;
