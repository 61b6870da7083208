import type { SinkCaps, VectorStore } from '../../domain/etl/vector-sink.js';
import { PlatformError } from '../../domain/errors.js';
import { aliasOf, dropGeneration, ensureGeneration } from './generation-collection.js';
import { connectMilvus, type MilvusAddress, unavailable } from './milvus-client.js';
import { openMilvusSink, type MilvusShared } from './open-milvus-sink.js';
import { assertTenant } from './stored-rows.js';

/** Where the store is, and what differs from its defaults. */
export interface MilvusStoreOptions extends MilvusAddress {
  /** Limits of one batch where they differ: 2,000 rows, 16 MiB. */
  limits?: Partial<Pick<SinkCaps, 'maxRows' | 'maxBytes' | 'maxMetadataBytes'>> | undefined;
}

const caps: SinkCaps = {
  replace: 'upsert-then-delete',
  tx: 'none',
  // Milvus Lite bears one writer of a collection at a time, so the lease serialises processes.
  writers: 'single',
  visibility: 'read-your-write',
  nativeBm25: true,
  alias: true,
  filter: 'pre',
  maxRows: 2_000,
  // A server takes messages up to 64 MiB; text goes over twice.
  maxBytes: 16 * 1024 * 1024,
  maxMetadataBytes: 8192,
  maxDims: 32_768,
  physicalErase: 'compaction',
  // Its files are the server's: fetch and search tell what remains, no look into them.
  verifiableErase: false,
};

/**
 * Vectors and words in Milvus: a collection per generation, the tenant as partition key, its own BM25 over our stems,
 * every read with `Strong` consistency.
 */
export function createMilvusStore(options: MilvusStoreOptions): VectorStore {
  const own = { ...caps, ...options.limits };
  const connection = connectMilvus(options);
  const shared: MilvusShared = { connection, writes: new Map(), written: new Map() };
  return {
    name: 'milvus',
    caps: own,
    ensureGeneration: async (generation) => {
      assertTenant(generation.tenant);
      if (generation.dims < 1 || generation.dims > caps.maxDims)
        throw new PlatformError('SINK_REFUSED', `The store takes 1 to ${caps.maxDims} dimensions.`);
      try {
        await ensureGeneration(connection, generation);
      } catch (error) {
        throw unavailable(error);
      }
    },
    sink: (generation) => {
      assertTenant(generation.tenant);
      return openMilvusSink(shared, generation, own);
    },
    dropGeneration: async (generation) => {
      assertTenant(generation.tenant);
      const alias = aliasOf(generation);
      await shared.writes.get(alias);
      try {
        await dropGeneration(connection, generation);
        shared.written.delete(alias);
      } catch (error) {
        throw unavailable(error);
      }
    },
    close: async () => {
      await Promise.all(shared.writes.values());
      await connection.close();
    },
  };
}
