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

/** A store with the name of the one that answers its words. */
interface Offered {
  store: VectorStore;
  lexicalSink: string;
}

function configured({ stateDir, etl: { stores } }: Config): Offered[] {
  const { pgvectorUrl: url, milvus } = stores;
  const embedded = createLanceStore({ folder: join(stateDir, 'vectors') });
  const offered: Offered[] = [{ store: embedded, lexicalSink: embedded.name }];
  if (url !== undefined) {
    const words = createLanceStore({ folder: join(stateDir, 'vector-words') });
    const store = withCompanion(createPgVectorStore({ url }), words);
    offered.push({ store, lexicalSink: words.name });
  }
  if (milvus !== undefined) {
    const { address, tokenFile } = milvus;
    const token =
      tokenFile === undefined ? undefined : async () => (await readFile(tokenFile, 'utf8')).trim();
    const store = createMilvusStore({ address, token });
    offered.push({ store, lexicalSink: store.name });
  }
  return offered;
}

/** The stores of this installation by name: the embedded one, and those that are configured. */
export function createStores(config: Config) {
  const stores = configured(config);
  const storeOf = (name: string): VectorStore => {
    const found = stores.find(({ store }) => store.name === name);
    if (found === undefined)
      throw new PlatformError('SINK_UNKNOWN', `This process has no store “${name}”.`);
    return found.store;
  };
  return {
    storeOf,
    findSink: (name: string): SinkOffer | undefined => {
      const found = stores.find(({ store }) => store.name === name);
      if (found === undefined) return undefined;
      return { maxDims: found.store.caps.maxDims, lexicalSink: found.lexicalSink };
    },
    sinkOf: async (tenant: string, generation: GenerationFacts): Promise<VectorSink> => {
      const { generationId, embedFp, dims } = generation;
      const spec = { tenant, generationId, embedFp, dims };
      const store = storeOf(generation.sink);
      await store.ensureGeneration(spec);
      return store.sink(spec);
    },
    close: async () => {
      for (const { store } of stores) await store.close();
    },
  };
}
