import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLanceStore } from '../adapters/lancedb/create-lance-store.js';
import { createMilvusStore } from '../adapters/milvus/create-milvus-store.js';
import { createPgVectorStore } from '../adapters/pgvector/create-pg-vector-store.js';
import { withCompanion } from '../activities/etl/index.js';
import type { SinkOffer } from '../api/etl/index.js';
import type { Config } from '../config.js';
import { PlatformError } from '../domain/errors.js';
import type { GenerationFacts } from '../domain/etl/ledger.js';
import type { VectorSink, VectorStore } from '../domain/etl/vector-sink.js';

function configured({ stateDir, etl: { stores } }: Config): VectorStore[] {
  const { pgvectorUrl: url, milvus } = stores;
  const offered: VectorStore[] = [createLanceStore({ folder: join(stateDir, 'vectors') })];
  if (url !== undefined)
    offered.push(
      withCompanion(
        createPgVectorStore({ url }),
        createLanceStore({ folder: join(stateDir, 'vector-words') }),
      ),
    );
  if (milvus !== undefined) {
    const { address, tokenFile } = milvus;
    const token =
      tokenFile === undefined ? undefined : async () => (await readFile(tokenFile, 'utf8')).trim();
    offered.push(createMilvusStore({ address, token }));
  }
  return offered;
}

/** The stores of this installation by name: the embedded one, and those that are configured. */
export function createStores(config: Config) {
  const stores = configured(config);
  const storeOf = (name: string): VectorStore => {
    const store = stores.find((one) => one.name === name);
    if (store === undefined)
      throw new PlatformError('SINK_UNKNOWN', `This process has no store “${name}”.`);
    return store;
  };
  return {
    storeOf,
    findSink: (name: string): SinkOffer | undefined => {
      const store = stores.find((one) => one.name === name);
      return store === undefined ? undefined : { maxDims: store.caps.maxDims };
    },
    sinkOf: async (tenant: string, generation: GenerationFacts): Promise<VectorSink> => {
      const { generationId, embedFp, dims } = generation;
      const spec = { tenant, generationId, embedFp, dims };
      const store = storeOf(generation.sink);
      await store.ensureGeneration(spec);
      return store.sink(spec);
    },
    close: async () => {
      for (const store of stores) await store.close();
    },
  };
}
