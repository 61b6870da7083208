import type { GenerationSpec, SinkCaps, VectorStore } from '../../src/domain/etl/vector-sink.js';
import { declareWrites, declareRowCases, declareWriters } from './sink-write-cases.js';
import { declareMetadata, declareReads, declareScans, declareRecall } from './sink-read-cases.js';
import { declareLimits, declareGenerations, declareUpkeep } from './sink-upkeep-cases.js';
import {
  newGeneration,
  type NotApplicable,
  type SinkScale,
  type SinkUnderTest,
} from './sink-world.js';

const declarations = [
  declareWrites,
  declareRowCases,
  declareWriters,
  declareReads,
  declareMetadata,
  declareScans,
  declareRecall,
  declareLimits,
  declareGenerations,
  declareUpkeep,
];

/**
 * Declares the conformance cases of a vector store (etl.md §10), numbered as there; 21 is metadata. What the ledger decides beyond the
 * store (cases 6 and 16: the read filter, the flip by compare-and-swap) is tested with retrieval.
 */
export function describeSinkConformance(
  title: string,
  of: {
    start: () => Promise<SinkUnderTest>;
    caps: SinkCaps;
    scale: SinkScale;
    notApplicable?: NotApplicable;
  },
): void {
  const { caps, scale, notApplicable = {} } = of;
  describe(title, () => {
    let under: SinkUnderTest;
    let store: VectorStore;
    beforeAll(async () => {
      under = await of.start();
      store = under.open();
    }, 120_000);
    afterAll(async () => {
      await store.close();
      await under.stop();
    }, 60_000);

    const check = (number: number, promise: string, work: () => Promise<void>) => {
      const reason = notApplicable[number];
      if (reason === undefined) it(`${number}: ${promise}`, work, 120_000);
      else it.skip(`${number}: ${promise} [not applicable: ${reason}]`, work);
    };
    const fresh = async (more: Partial<GenerationSpec> = {}) => {
      const generation = newGeneration(more);
      await store.ensureGeneration(generation);
      return { generation, sink: store.sink(generation) };
    };
    const context = { check, fresh, caps, scale, under: () => under, store: () => store };
    for (const declare of declarations) declare(context);
  });
}
