import { createHash } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';
import type { GenerationSpec } from '../../domain/etl/vector-sink.js';
import { PlatformError } from '../../domain/errors.js';

const schema = 'anneal_vector';

/** Above so many dimensions only half precision can be indexed. */
export const maxFloatDims = 2_000;

const short = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 40);

/** Names of the tables of a generation: identifiers hold 63 bytes, ids may hold more. */
export const tablesOf = ({ tenant, generationId }: GenerationSpec) => ({
  generation: `${schema}.g_${short(generationId)}`,
  partition: `${schema}.p_${short(JSON.stringify([generationId, tenant]))}`,
});

/** The column's type and its operator class for cosine distance. */
export const vectorTypeOf = (dims: number) =>
  dims > maxFloatDims
    ? { type: `halfvec(${dims})`, operators: 'halfvec_cosine_ops' }
    : { type: `vector(${dims})`, operators: 'vector_cosine_ops' };

/** Runs statements in one transaction on one connection. */
export async function inTransaction<T>(
  pool: Pool,
  work: (client: PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  } finally {
    client.release();
  }
}

const lock = (client: PoolClient) =>
  client.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [schema]);

/** @throws SINK_REFUSED where the generation exists with another fingerprint or number of dimensions */
export async function createGeneration(pool: Pool, generation: GenerationSpec): Promise<void> {
  const { tenant, generationId, embedFp, dims } = generation;
  const { generation: table, partition } = tablesOf(generation);
  await inTransaction(pool, async (client) => {
    await lock(client);
    await client.query(`create schema if not exists ${schema}`);
    await client.query('create extension if not exists vector');
    await client.query(`create table if not exists ${schema}.generation (
      tenant text, generation_id text, embed_fp text not null, dims int not null,
      primary key (tenant, generation_id))`);
    const known = await client.query<{ embed_fp: string; dims: number }>(
      `insert into ${schema}.generation as g values ($1, $2, $3, $4)
       on conflict (tenant, generation_id) do update set embed_fp = g.embed_fp
       returning embed_fp, dims`,
      [tenant, generationId, embedFp, dims],
    );
    const [found] = known.rows;
    if (found?.embed_fp !== embedFp || found.dims !== dims)
      throw new PlatformError(
        'SINK_REFUSED',
        `Generation ${generationId} exists with ${found?.dims} dimensions and fingerprint ${found?.embed_fp}.`,
      );
    await client.query(`create table if not exists ${table} (
      tenant text not null, row_id text collate "C" not null, doc_id text not null,
      embedding ${vectorTypeOf(dims).type} not null, body text not null, acl text[] not null,
      access_hash text not null, metadata jsonb not null, metadata_text text not null,
      primary key (tenant, row_id)) partition by list (tenant)`);
    await client.query(`create table if not exists ${partition} partition of ${table}
      for values in (${client.escapeLiteral(tenant)})`);
    await client.query(
      `create index if not exists ${indexOf(partition, 'acl')} on ${partition} using gin (acl)`,
    );
    await client.query(
      `create index if not exists ${indexOf(partition, 'metadata')} on ${partition} using gin (metadata jsonb_path_ops)`,
    );
  });
}

/** Name of an index of a partition. */
export const indexOf = (partition: string, column: string): string =>
  `${partition.replace(`${schema}.`, '')}_${column}`;

/** Removes a tenant's partition, and the generation's table with the last of them. */
export async function removeGeneration(pool: Pool, generation: GenerationSpec): Promise<void> {
  const { tenant, generationId } = generation;
  const { generation: table, partition } = tablesOf(generation);
  await inTransaction(pool, async (client) => {
    await lock(client);
    const there = await client.query<{ there: boolean }>(
      `select to_regclass('${schema}.generation') is not null as there`,
    );
    if (there.rows[0]?.there !== true) return;
    await client.query(`drop table if exists ${partition}`);
    await client.query(
      `delete from ${schema}.generation where tenant = $1 and generation_id = $2`,
      [tenant, generationId],
    );
    const others = await client.query(
      `select 1 from ${schema}.generation where generation_id = $1 limit 1`,
      [generationId],
    );
    if (others.rowCount === 0) await client.query(`drop table if exists ${table}`);
  });
}
