import { Pool } from 'pg';
import type { SinkCaps, VectorStore } from '../../domain/etl/vector-sink.js';
import { PlatformError } from '../../domain/errors.js';
import { createGeneration, removeGeneration } from './generation-tables.js';
import { openPgVectorSink, unavailable } from './open-pg-vector-sink.js';

/** Where the store is, and what differs from its defaults. */
export interface PgVectorStoreOptions {
  /** Postgres 16 or later with pgvector 0.8.4 or later. */
  url: string;
  /** Connections, 4 by default. */
  poolSize?: number | undefined;
  /** Up to so many rows vectors are searched exactly, without an index: 5,000. */
  exactRows?: number | undefined;
  /** Limits of one batch where they differ: 5,000 rows, 32 MiB. */
  limits?: Partial<Pick<SinkCaps, 'maxRows' | 'maxBytes' | 'maxMetadataBytes'>> | undefined;
}

const caps: SinkCaps = {
  replace: 'atomic',
  tx: 'own',
  writers: 'many',
  visibility: 'read-your-write',
  nativeBm25: false,
  alias: false,
  filter: 'pre',
  maxRows: 5_000,
  maxBytes: 32 * 1024 * 1024,
  maxMetadataBytes: 8192,
  maxDims: 4_000,
  physicalErase: 'vacuum',
  verifiableErase: true,
};

/**
 * Vectors in Postgres: a table per generation, a partition per tenant, one transaction per replacement. It has no BM25:
 * words are searched in a companion, and a text leg here is refused.
 */
export function createPgVectorStore(options: PgVectorStoreOptions): VectorStore {
  const own = { ...caps, ...options.limits };
  // Below 400 candidates recall@10 falls under 0.95; strict order keeps filtered answers complete and sorted.
  const pool = new Pool({
    connectionString: options.url,
    max: options.poolSize ?? 4,
    options: '-c hnsw.iterative_scan=strict_order -c hnsw.ef_search=400',
  });
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on('error', () => undefined);
  const guarded = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      throw unavailable(error);
    }
  };
  return {
    name: 'pgvector',
    caps: own,
    ensureGeneration: async (generation) => {
      if (generation.dims < 1 || generation.dims > caps.maxDims)
        throw new PlatformError('SINK_REFUSED', `The store takes 1 to ${caps.maxDims} dimensions.`);
      await guarded(() => createGeneration(pool, generation));
    },
    sink: (generation) =>
      openPgVectorSink({ pool, exactRows: options.exactRows ?? 5_000 }, generation, own),
    dropGeneration: (generation) => guarded(() => removeGeneration(pool, generation)),
    close: () => pool.end(),
  };
}
