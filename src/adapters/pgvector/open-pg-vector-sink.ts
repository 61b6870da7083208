import type { Pool } from 'pg';
import {
  byScore,
  checkSinkBatch,
  checkSinkPatches,
  sliceDigits,
  vectorFault,
} from '../../domain/etl/check-sink-batch.js';
import type {
  GenerationSpec,
  Hit,
  SinkCaps,
  SinkRow,
  VectorSink,
} from '../../domain/etl/vector-sink.js';
import { PlatformError } from '../../domain/errors.js';
import { eraseRows } from './erase-rows.js';
import { indexOf, inTransaction, tablesOf, vectorTypeOf } from './generation-tables.js';

/** Rows of one page of a scan. */
const scanPage = 5_000;

/** Turns a failure of the driver into the port's; `22…` are values that Postgres cannot hold. */
export function unavailable(error: unknown): PlatformError {
  if (error instanceof PlatformError) return error;
  const code = (error as { code?: unknown }).code;
  const internal = String(error);
  return typeof code === 'string' && code.startsWith('22')
    ? new PlatformError('SINK_REFUSED', 'A value cannot be stored as text.', { internal })
    : new PlatformError('SINK_UNAVAILABLE', 'The vector store failed.', { internal });
}

const vectorText = (vector: Float32Array): string => `[${vector.join(',')}]`;

interface StoredRow {
  row_id: string;
  doc_id: string;
  embedding: string;
  body: string;
  acl: string[];
  access_hash: string;
  metadata_text: string;
}

const rowOf = (stored: StoredRow): SinkRow => ({
  rowId: stored.row_id,
  docId: stored.doc_id,
  vector: Float32Array.from(JSON.parse(stored.embedding) as number[]),
  text: stored.body,
  acl: stored.acl,
  accessHash: stored.access_hash,
  metadata: JSON.parse(stored.metadata_text) as SinkRow['metadata'],
});

/** A row per element; lists travel as JSON, since `unnest` flattens nested arrays. */
const upsert = (table: string, type: string) => `
  insert into ${table}
    (tenant, row_id, doc_id, embedding, body, acl, access_hash, metadata, metadata_text)
  select $1, r.row_id, r.doc_id, r.embedding::${type}, r.body,
    array(select json_array_elements_text(r.acl::json)), r.access_hash, r.metadata::jsonb, r.metadata
  from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    as r(row_id, doc_id, embedding, body, acl, access_hash, metadata)
  order by r.row_id
  on conflict (tenant, row_id) do update set doc_id = excluded.doc_id,
    embedding = excluded.embedding, body = excluded.body, acl = excluded.acl,
    access_hash = excluded.access_hash, metadata = excluded.metadata,
    metadata_text = excluded.metadata_text`;

const upsertValues = (tenant: string, rows: readonly SinkRow[]): unknown[] => [
  tenant,
  rows.map((row) => row.rowId),
  rows.map((row) => row.docId),
  rows.map((row) => vectorText(row.vector)),
  rows.map((row) => row.text),
  rows.map((row) => JSON.stringify(row.acl)),
  rows.map((row) => row.accessHash),
  rows.map((row) => JSON.stringify(row.metadata)),
];

/** What every method of one sink works with. */
interface Place {
  pool: Pool;
  exactRows: number;
  generation: GenerationSpec;
  caps: SinkCaps;
  table: string;
  partition: string;
  query: <Row extends object>(sql: string, values?: unknown[]) => Promise<Row[]>;
}

/** One tenant's partition of a generation. */
export function openPgVectorSink(
  store: { pool: Pool; exactRows: number },
  generation: GenerationSpec,
  caps: SinkCaps,
): VectorSink {
  const { generation: table, partition } = tablesOf(generation);
  const query = async <Row extends object>(sql: string, values: unknown[] = []) => {
    try {
      return (await store.pool.query<Row>(sql, values)).rows;
    } catch (error) {
      throw unavailable(error);
    }
  };
  const place: Place = { ...store, generation, caps, table, partition, query };
  return { caps, ...writesOf(place), ...readsOf(place), ...upkeepOf(place) };
}

function writesOf({ pool, generation, caps, table, partition, query }: Place) {
  const { tenant, dims } = generation;
  const { type } = vectorTypeOf(dims);
  return {
    replaceRows: async (batch) => {
      checkSinkBatch(batch, generation, caps);
      const { adds, deleteIds } = batch;
      await inTransaction(pool, async (client) => {
        if (adds.length > 0) await client.query(upsert(table, type), upsertValues(tenant, adds));
        if (deleteIds.length > 0)
          await client.query(`delete from ${partition} where row_id = any($1)`, [deleteIds]);
      }).catch((error: unknown) => {
        throw unavailable(error);
      });
      return {};
    },
    awaitVisible: () => Promise.resolve(),
    patchAccess: async (patches) => {
      checkSinkPatches(patches);
      await query(
        `update ${partition} p set access_hash = r.access_hash,
           acl = array(select json_array_elements_text(r.acl::json))
         from unnest($1::text[], $2::text[], $3::text[]) as r(row_id, acl, access_hash)
         where p.row_id = r.row_id`,
        [
          patches.map(({ rowId }) => rowId),
          patches.map(({ access }) => JSON.stringify(access.acl)),
          patches.map(({ access }) => access.accessHash),
        ],
      );
    },
  } satisfies Partial<VectorSink>;
}

function readsOf({ generation, partition, query }: Place) {
  const { tenant, dims } = generation;
  const { type } = vectorTypeOf(dims);
  return {
    fetch: async (rowIds) =>
      (
        await query<StoredRow>(
          `select row_id, doc_id, embedding::text, body, acl, access_hash, metadata_text
           from ${partition} where row_id = any($1)`,
          [rowIds],
        )
      ).map(rowOf),
    scanIds: async function* (slice) {
      const [first, last] = sliceDigits(slice);
      let after = '';
      for (;;) {
        const page = await query<{ row_id: string; doc_id: string; access_hash: string }>(
          `select row_id, doc_id, access_hash from ${partition}
           where row_id > $1 and row_id >= $2 and row_id < $3 order by row_id limit ${scanPage}`,
          [after, first, String.fromCharCode(last.charCodeAt(0) + 1)],
        );
        for (const { row_id, doc_id, access_hash } of page)
          yield { rowId: row_id, docId: doc_id, accessHash: access_hash };
        if (page.length < scanPage) return;
        after = page.at(-1)?.row_id ?? after;
      }
    },
    search: async ({ leg, k, filter, exact }) => {
      if (filter.tenant !== tenant || k < 1) return [];
      if ('text' in leg)
        throw new PlatformError('SINK_REFUSED', 'The store has no BM25: it needs a companion.');
      const fault = vectorFault(leg.vector, dims);
      if (fault !== undefined)
        throw new PlatformError('SINK_REFUSED', `The query vector ${fault}.`);
      // An expression is no index order, so adding nothing makes the search exact.
      const distance = `embedding <=> $1::${type}`;
      const found = await query<{ row_id: string; doc_id: string; score: number }>(
        `select row_id, doc_id, 1 - (${distance}) as score from ${partition}
         where acl && $2::text[] and metadata @> $3::jsonb
         order by ${exact === true ? `(${distance}) + 0` : distance} limit $4`,
        [vectorText(leg.vector), filter.principals, JSON.stringify(filter.metadata), k],
      );
      return found
        .map(({ row_id, doc_id, score }): Hit => ({ rowId: row_id, docId: doc_id, score }))
        .sort(byScore);
    },
  } satisfies Partial<VectorSink>;
}

function upkeepOf({ pool, exactRows, generation, partition, query }: Place) {
  const { operators } = vectorTypeOf(generation.dims);
  const hnsw = indexOf(partition, 'hnsw');
  const countRows = async () =>
    Number((await query<{ n: string }>(`select count(*) as n from ${partition}`))[0]?.n ?? 0);
  const isIndexed = async () =>
    (await query(`select 1 from pg_indexes where indexname = $1`, [hnsw])).length > 0;
  return {
    physicallyErase: (rowIds) =>
      eraseRows({ pool, partition, dims: generation.dims }, rowIds).catch((error: unknown) => {
        throw unavailable(error);
      }),
    stats: async () => {
      const rows = await countRows();
      const dead = await query<{ dead: string }>(
        `select n_dead_tup as dead from pg_stat_user_tables where relid = $1::regclass`,
        [partition],
      );
      const churned = Number(dead[0]?.dead ?? 0) > Math.max(200, rows / 2);
      const wantsIndex = rows > exactRows && !(await isIndexed());
      return {
        rows,
        unindexedRows: wantsIndex ? rows : 0,
        wantsCompaction: churned || wantsIndex,
      };
    },
    compact: async () => {
      if ((await countRows()) > exactRows && !(await isIndexed()))
        await query(
          `create index if not exists ${hnsw} on ${partition} using hnsw (embedding ${operators}) with (m = 16)`,
        );
      await query(`vacuum (analyze) ${partition}`);
    },
  } satisfies Partial<VectorSink>;
}
