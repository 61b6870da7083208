import type { Pool } from 'pg';
import type { EraseReport } from '../../domain/etl/vector-sink.js';
import { maxFloatDims } from './generation-tables.js';

/** Erased rows whose bytes are looked for in the files. */
const maxProbes = 64;

/** The 32-bit floats as pgvector stores them, without its 8 bytes of head. */
const bytesOf = (vector: string): Buffer => {
  const values = Float32Array.from(JSON.parse(vector) as number[]);
  return Buffer.from(values.buffer);
};

/**
 * Deletes rows and writes the partition anew. The proof is a look for the vectors' bytes in its new files, which needs
 * the right to read them and to force a checkpoint; without it the report says that the store only attests it.
 * The write-ahead log and backups keep the bytes until they expire.
 */
export async function eraseRows(
  { pool, partition, dims }: { pool: Pool; partition: string; dims: number },
  rowIds: readonly string[],
): Promise<EraseReport> {
  const gone = await pool.query<{ vector: string }>(
    `delete from ${partition} where row_id = any($1) returning embedding::text as vector`,
    [rowIds],
  );
  await pool.query(`vacuum (full, analyze) ${partition}`);
  const left = await pool.query<{ n: string }>(
    `select count(*) as n from ${partition} where row_id = any($1)`,
    [rowIds],
  );
  const byId = Number(left.rows[0]?.n ?? 0);
  const erased = gone.rows.length;
  // Half precision is stored otherwise than it arrives, so its bytes cannot be told.
  if (dims > maxFloatDims) return { erased, remaining: byId, proof: 'vendor_attested' };
  const step = Math.max(1, Math.ceil(erased / maxProbes));
  const vectors = gone.rows.filter((_, at) => at % step === 0).map(({ vector }) => vector);
  try {
    const byBytes = await countTraces(pool, partition, vectors);
    return { erased, remaining: Math.max(byId, byBytes), proof: 'verified' };
  } catch (error) {
    // Insufficient privilege: a managed Postgres lets nobody look into its files.
    if ((error as { code?: unknown }).code !== '42501') throw error;
    return { erased, remaining: byId, proof: 'vendor_attested' };
  }
}

async function countTraces(
  pool: Pool,
  partition: string,
  vectors: readonly string[],
): Promise<number> {
  // Equal texts embed equally: what a remaining row holds as well is no trace.
  const shared = await pool.query<{ vector: string }>(
    `select distinct embedding::text as vector from ${partition} where embedding::text = any($1)`,
    [vectors],
  );
  const kept = new Set(shared.rows.map(({ vector }) => vector));
  const needles = vectors.filter((vector) => !kept.has(vector)).map(bytesOf);
  if (needles.length === 0) return 0;
  await pool.query('checkpoint');
  const found = await pool.query<{ n: string }>(
    `with files as materialized (
       select pg_read_binary_file(pg_relation_filepath(c.oid)) as bytes
       from pg_class p join pg_class c on c.oid in (p.oid, p.reltoastrelid)
       where p.oid = $1::regclass)
     select count(distinct needle) as n from files, unnest($2::bytea[]) as needle
     where position(needle in files.bytes) > 0`,
    [partition, needles],
  );
  return Number(found.rows[0]?.n ?? 0);
}
