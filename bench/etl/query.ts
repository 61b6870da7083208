import { createEtlReads } from '../../src/adapters/postgres/etl-reads.js';
import { createRetrievalStore } from '../../src/adapters/postgres/retrieval.js';
import { createEtlActivities } from '../../src/activities/etl/index.js';
import { createRetrieval } from '../../src/activities/retrieval/index.js';
import { querySchema } from '../../src/domain/retrieval/contract.js';
import { MINUTE_MS } from '../../src/domain/units.js';
import { firstState, loadQueries, type Documents } from './corpus.js';
import type { StoreMeter } from './engine.js';
import type { Installation } from './installation.js';
import { variantsOf } from './large-corpus.js';
import { createMeteredEmbedder } from './metered-embedder.js';
import { versionOf } from './our-bare-side.js';
import { createOurEngine, step } from './our-engine.js';
import { openWorld, type DurableWorld } from './our-world.js';
import { quantile } from './report.js';

const COPIES = 4;
const WARM_UP = 100;
const modes = ['hybrid', 'lexical', 'dense'] as const;

/** How long queries of one kind take. Milliseconds. */
export interface QueryFigure {
  mode: string;
  rows: number;
  unindexedRows: number;
  queries: number;
  hits: number;
  p50: number;
  p95: number;
  p99: number;
}

type Retrieval = ReturnType<typeof createRetrieval>;

async function timeQueries(retrieval: Retrieval, world: DurableWorld, mode: string) {
  const { tenant, collectionId, purpose } = world;
  const { signal } = new AbortController();
  const asking = { tenant, subject: 'reader', groups: ['staff'], mayDelegate: false };
  const texts = loadQueries();
  const times: number[] = [];
  let hits = 0;
  for (const [at, text] of [...texts.slice(0, WARM_UP), ...texts].entries()) {
    const query = querySchema.parse({ text, k: 10, purpose, mode });
    const since = performance.now();
    const answer = await retrieval.query(asking, { collectionId, query, signal });
    if (at < WARM_UP) continue;
    times.push(performance.now() - since);
    hits += answer.hits.length;
  }
  if (hits === 0) throw new Error('the queries found nothing');
  return { times, hits };
}

/** What retrieval is built from, over this world. */
const retrievalOf = (world: DurableWorld, embedder: ReturnType<typeof createMeteredEmbedder>) => {
  const { database, ledgerParts } = world;
  const { findSearched } = createRetrievalStore(database);
  return createRetrieval({
    reads: createEtlReads(ledgerParts),
    findSearched,
    isApplied: async () => true,
    storeOf: () => world.store,
    embedderOf: async (_tenant, generation) => embedder.port(versionOf(generation)),
    leaseRate: async () => undefined,
    scrubQuery: async (_tenant, text) => text,
    freshnessObjectiveMs: 5 * MINUTE_MS,
  });
};

/**
 * Queries over at least 50,000 chunks, the read filter and citations included: one after the other, text and vectors
 * indexed by the product's own compaction.
 */
export async function measureQueries(
  at: Installation,
  documents: Documents,
  say: (line: string) => void,
): Promise<QueryFigure[]> {
  const embedder = createMeteredEmbedder(false);
  const meter: StoreMeter = { writes: 0, crash: undefined };
  const world = await openWorld(at, { embedder, meter });
  try {
    const many = variantsOf(documents, documents.size * COPIES);
    await createOurEngine(world, world.show).sync(firstState(many), 'documents');
    say(`${many.size} documents are in`);
    const generation = await world.live();
    if (generation === undefined) throw new Error('no generation is live');
    const { tenant } = world;
    const { generationId } = generation;
    await step(createEtlActivities(world.deps).compactSink, { tenant, generationId });
    const stats = await (await world.deps.sink(tenant, generation)).stats();
    const retrieval = retrievalOf(world, embedder);
    const figures: QueryFigure[] = [];
    for (const mode of modes) {
      const { times, hits } = await timeQueries(retrieval, world, mode);
      figures.push({
        mode,
        rows: stats.rows,
        unindexedRows: stats.unindexedRows,
        queries: times.length,
        hits,
        p50: quantile(times, 0.5),
        p95: quantile(times, 0.95),
        p99: quantile(times, 0.99),
      });
    }
    return figures;
  } finally {
    await world.close();
    await embedder.close();
  }
}

export const queryHeads = ['Legs', 'chunks', 'outside the index', 'queries', 'p50', 'p95', 'p99'];

export const queryCells = (one: QueryFigure): string[] => [
  one.mode,
  ...[one.rows, one.unindexedRows, one.queries].map((count) => count.toLocaleString('en-US')),
  ...[one.p50, one.p95, one.p99].map((ms) => `${ms.toFixed(1)} ms`),
];
