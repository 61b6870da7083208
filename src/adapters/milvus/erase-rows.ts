import { setTimeout as pause } from 'node:timers/promises';
import type { EraseReport } from '../../domain/etl/vector-sink.js';
import { PlatformError } from '../../domain/errors.js';
import { createCollection, dropOthers, findCollection, strong } from './generation-collection.js';
import type { MilvusConnection } from './milvus-client.js';
import { queryPages } from './query-pages.js';
import { storedFields, type StoredRow, whereKeys } from './stored-rows.js';

/** How long one compaction may take, and how often its state is asked for. */
const compactionMs = 10 * 60_000;
const askEveryMs = 500;

/** Erased rows that are searched for afterwards. */
const maxProbes = 8;
const copyPage = 500;
const keysAtOnce = 1_000;

async function nameOf(connection: MilvusConnection, alias: string): Promise<string> {
  const name = await findCollection(connection, alias);
  if (name === undefined)
    throw new PlatformError('SINK_REFUSED', 'The generation is not in the store.');
  return name;
}

/** Seals what is in memory and merges segments, without the rows that were deleted. */
export async function flushAndCompact(connection: MilvusConnection, alias: string): Promise<void> {
  const { ask } = connection;
  const collection_name = await nameOf(connection, alias);
  await ask((client) => client.flushSync({ collection_names: [collection_name] }));
  const { compactionID } = await ask((client) => client.compact({ collection_name }));
  const deadline = performance.now() + compactionMs;
  for (;;) {
    const { state } = await ask((client) => client.getCompactionState({ compactionID }));
    if (String(state) === 'Completed' || Number(state) === 2) return;
    if (performance.now() > deadline)
      throw new PlatformError('SINK_UNAVAILABLE', 'A compaction of the vector store takes long.');
    await pause(askEveryMs);
  }
}

/** Copies what is left into a new collection, moves the alias and drops the old one with its files. */
async function rewrite(connection: MilvusConnection, alias: string, dims: number): Promise<void> {
  const { ask } = connection;
  const old = await nameOf(connection, alias);
  // What an erasure that was cut short left has the bytes as well.
  await dropOthers(connection, alias, old);
  const fresh = await createCollection(connection, alias, dims);
  const pages = queryPages(connection, { collection: old, fields: storedFields, size: copyPage });
  for await (const page of pages)
    await ask((client) => client.upsert({ collection_name: fresh, data: page.map(asData) }));
  await ask((client) => client.flushSync({ collection_names: [fresh] }));
  await ask((client) => client.alterAlias({ collection_name: fresh, alias }));
  await ask((client) => client.dropCollection({ collection_name: old }));
}

const asData = (row: StoredRow) => ({ ...row });

/**
 * Deletes rows and has the store write its files anew. `remaining` is what fetch by id and search in both legs still
 * find; into the files nobody can look from here, and a cluster removes replaced segments after a delay of its own.
 * Milvus Lite answers a compaction without doing one, so there the rows that stay are written into a new collection.
 */
export async function eraseRows(
  connection: MilvusConnection,
  of: { alias: string; dims: number; keys: readonly string[]; rows: readonly StoredRow[] },
): Promise<EraseReport> {
  const { alias, dims, keys, rows } = of;
  const { ask } = connection;
  const filters = [];
  for (let at = 0; at < keys.length; at += keysAtOnce)
    filters.push(whereKeys(keys.slice(at, at + keysAtOnce)));
  for (const filter of filters)
    await ask((client) => client.delete({ collection_name: alias, filter }));
  await flushAndCompact(connection, alias);
  if (await connection.isLite()) await rewrite(connection, alias, dims);
  const asked = new Set(keys);
  const left = new Set<string>();
  const note = (found: readonly Pick<StoredRow, 'pk'>[]) => {
    for (const { pk } of found) if (asked.has(pk)) left.add(pk);
  };
  for (const filter of filters) {
    const byId = await ask((client) =>
      client.query({ collection_name: alias, filter, output_fields: ['pk'], ...strong }),
    );
    note(byId.data as StoredRow[]);
  }
  const step = Math.max(1, Math.ceil(rows.length / maxProbes));
  for (const row of rows.filter((_, at) => at % step === 0)) {
    note(await near(connection, alias, row.embedding));
    if (row.terms !== '') note(await near(connection, alias, row.terms));
  }
  return { erased: rows.length, remaining: left.size, proof: 'vendor_attested' };
}

/** The rows nearest to a row by its vector or by its words. */
async function near(
  { ask }: MilvusConnection,
  alias: string,
  query: number[] | string,
): Promise<Pick<StoredRow, 'pk'>[]> {
  const { results } = await ask((client) =>
    client.search({
      collection_name: alias,
      anns_field: typeof query === 'string' ? 'sparse' : 'embedding',
      data: query,
      metric_type: typeof query === 'string' ? 'BM25' : 'COSINE',
      limit: 10,
      output_fields: ['pk'],
      ...strong,
    }),
  );
  return results as unknown as Pick<StoredRow, 'pk'>[];
}
