import {
  byScore,
  checkSinkBatch,
  checkSinkPatches,
  vectorFault,
} from '../../domain/etl/check-sink-batch.js';
import { tokens } from '../../domain/etl/tokens.js';
import { cosine } from '../../domain/etl/vector-check.js';
import type { GenerationSpec, Hit, SinkCaps, VectorSink } from '../../domain/etl/vector-sink.js';
import { PlatformError } from '../../domain/errors.js';
import { eraseRows, flushAndCompact } from './erase-rows.js';
import {
  aliasOf,
  findCollection,
  loadCollection,
  readFacts,
  strong,
  vectorIndex,
  writeFacts,
} from './generation-collection.js';
import { isNotLoaded, type MilvusConnection, unavailable } from './milvus-client.js';
import { queryPages } from './query-pages.js';
import {
  fromStored,
  keyRange,
  keysOf,
  rowIdOf,
  storedFields,
  type StoredRow,
  toStored,
  whereAccess,
  whereKeys,
  whereTenant,
} from './stored-rows.js';

/** Rows of one page of a scan, and of one reply with vectors. */
const scanPage = 5_000;
const rowsPage = 1_000;

/** Rows written since the last compaction from which another is worth it. */
const churn = 2_000;

/** What all sinks of one store share, by alias: the order of writes, and how much was written. */
export interface MilvusShared {
  connection: MilvusConnection;
  writes: Map<string, Promise<unknown>>;
  written: Map<string, number>;
}

/** What every method of one sink works with. */
interface Place extends MilvusShared {
  generation: GenerationSpec;
  alias: string;
  caps: SinkCaps;
  /** Reads, after loading where the server has the collection out of memory. */
  read: <T>(work: () => Promise<T>) => Promise<T>;
  /** Writes one after the other, and none of an epoch that lost the lease. */
  write: <T>(epoch: bigint | undefined, work: () => Promise<T>) => Promise<T>;
}

/** One tenant's rows of a generation. */
export function openMilvusSink(
  shared: MilvusShared,
  generation: GenerationSpec,
  caps: SinkCaps,
): VectorSink {
  const { connection, writes } = shared;
  const alias = aliasOf(generation);
  const read: Place['read'] = async (work) => {
    try {
      return await work();
    } catch (error) {
      if (!isNotLoaded(error)) throw unavailable(error);
    }
    try {
      const name = await findCollection(connection, alias);
      if (name !== undefined) await loadCollection(connection, name);
      return await work();
    } catch (error) {
      throw unavailable(error);
    }
  };
  const fence = async (epoch: bigint | undefined) => {
    if (epoch === undefined) return;
    const facts = await readFacts(connection, generation);
    if (facts === undefined)
      throw new PlatformError('SINK_REFUSED', 'The generation is not in the store.');
    if (epoch < BigInt(facts.epoch))
      throw new PlatformError(
        'SINK_FENCED',
        `Epoch ${epoch} writes no more: epoch ${facts.epoch} has the lease.`,
      );
    if (epoch > BigInt(facts.epoch))
      await writeFacts(connection, generation, { ...facts, epoch: String(epoch) });
  };
  const write: Place['write'] = (epoch, work) => {
    const next = (writes.get(alias) ?? Promise.resolve()).then(() =>
      read(async () => {
        await fence(epoch);
        const result = await work();
        await fence(epoch);
        return result;
      }),
    );
    const settled = next.catch(() => undefined);
    writes.set(alias, settled);
    return next;
  };
  const place: Place = { ...shared, generation, alias, caps, read, write };
  return { caps, ...writesOf(place), ...readsOf(place), ...searchOf(place), ...upkeepOf(place) };
}

async function fetchStored(
  { connection, alias }: Place,
  keys: readonly string[],
): Promise<StoredRow[]> {
  const found: StoredRow[] = [];
  for (let at = 0; at < keys.length; at += rowsPage) {
    const { data } = await connection.ask((client) =>
      client.query({
        collection_name: alias,
        filter: whereKeys(keys.slice(at, at + rowsPage)),
        output_fields: [...storedFields],
        ...strong,
      }),
    );
    found.push(...(data as StoredRow[]));
  }
  return found;
}

function writesOf(place: Place) {
  const { connection, generation, alias, caps, write, written } = place;
  const { tenant } = generation;
  const upsert = async (rows: readonly StoredRow[]) => {
    if (rows.length === 0) return;
    const data = rows.map((row) => ({ ...row }));
    await connection.ask((client) => client.upsert({ collection_name: alias, data }));
    written.set(alias, (written.get(alias) ?? 0) + rows.length);
  };
  return {
    replaceRows: async (batch) => {
      checkSinkBatch(batch, generation, caps);
      const rows = batch.adds.map((row) => toStored(tenant, row));
      const gone = keysOf(tenant, batch.deleteIds);
      await write(batch.epoch, async () => {
        await upsert(rows);
        await batch.beforeDelete?.();
        if (gone.length === 0) return;
        const filter = whereKeys(gone);
        await connection.ask((client) => client.delete({ collection_name: alias, filter }));
        written.set(alias, (written.get(alias) ?? 0) + gone.length);
      });
      return {};
    },
    awaitVisible: () => Promise.resolve(),
    /** Whole rows are written again: not every version of the server updates single fields. */
    patchAccess: async (patches, epoch) => {
      checkSinkPatches(patches);
      const accessOf = new Map(patches.map(({ rowId, access }) => [rowId, access]));
      const keys = keysOf(tenant, [...accessOf.keys()]);
      for (let at = 0; at < keys.length; at += rowsPage)
        await write(epoch, async () => {
          const found = await fetchStored(place, keys.slice(at, at + rowsPage));
          const rows = found.map(fromStored);
          await upsert(rows.map((row) => toStored(tenant, { ...row, ...accessOf.get(row.rowId) })));
        });
    },
  } satisfies Partial<VectorSink>;
}

function readsOf(place: Place) {
  const { connection, generation, alias, read } = place;
  const { tenant } = generation;
  return {
    fetch: (rowIds) =>
      read(async () => (await fetchStored(place, keysOf(tenant, rowIds))).map(fromStored)),
    scanIds: async function* (slice) {
      const pages = queryPages(connection, {
        collection: alias,
        where: whereTenant(tenant),
        range: keyRange(tenant, slice),
        fields: ['pk', 'doc_id', 'access_hash'],
        size: scanPage,
      });
      for (;;) {
        const page = await read(() => pages.next());
        if (page.done === true) return;
        for (const { pk, doc_id, access_hash } of page.value)
          yield { rowId: rowIdOf(tenant, pk), docId: doc_id, accessHash: access_hash };
      }
    },
  } satisfies Partial<VectorSink>;
}

function searchOf({ connection, generation, alias, caps, read }: Place) {
  const { tenant, dims } = generation;
  /** One leg; `query` is a vector or the stems of a text. */
  const searchLeg = async (
    query: number[] | string,
    of: { k: number; filter: string; metric: 'COSINE' | 'BM25' },
  ): Promise<Hit[]> => {
    const { results } = await connection.ask((client) =>
      client.search({
        collection_name: alias,
        anns_field: of.metric === 'COSINE' ? 'embedding' : 'sparse',
        data: query,
        limit: of.k,
        filter: of.filter,
        metric_type: of.metric,
        params: of.metric === 'COSINE' ? { ef: Math.max(vectorIndex.ef, of.k) } : {},
        output_fields: ['pk', 'doc_id'],
        ...strong,
      }),
    );
    return (results as unknown as { pk: string; doc_id: string; score: number }[])
      .map(({ pk, doc_id, score }) => ({
        rowId: rowIdOf(tenant, pk),
        docId: doc_id,
        // Milvus Lite gives BM25 as a distance, so with its sign turned.
        score: of.metric === 'BM25' ? Math.abs(score) : score,
      }))
      .sort(byScore);
  };
  /** Compared here: the server has no search around its index. */
  const searchExactly = async (vector: Float32Array, k: number, filter: string) => {
    let best: Hit[] = [];
    const pages = queryPages(connection, {
      collection: alias,
      where: filter,
      range: keyRange(tenant, { index: 0, of: 1 }),
      fields: ['pk', 'doc_id', 'embedding'],
      size: rowsPage,
    });
    for await (const page of pages) {
      const hits = page.map(({ pk, doc_id, embedding }) => ({
        rowId: rowIdOf(tenant, pk),
        docId: doc_id,
        score: cosine(vector, Float32Array.from(embedding)),
      }));
      best = [...best, ...hits].sort(byScore).slice(0, k);
    }
    return best;
  };
  return {
    search: async ({ leg, k, filter, exact }) => {
      if (filter.tenant !== tenant || k < 1) return [];
      const where = whereAccess(filter);
      const limit = Math.min(k, caps.maxRows);
      if ('text' in leg) {
        const query = tokens(leg.text).join(' ');
        if (query === '') return [];
        return read(() => searchLeg(query, { k: limit, filter: where, metric: 'BM25' }));
      }
      const fault = vectorFault(leg.vector, dims);
      if (fault !== undefined)
        throw new PlatformError('SINK_REFUSED', `The query vector ${fault}.`);
      return exact === true
        ? read(() => searchExactly(leg.vector, k, where))
        : read(() =>
            searchLeg(Array.from(leg.vector), { k: limit, filter: where, metric: 'COSINE' }),
          );
    },
  } satisfies Partial<VectorSink>;
}

function upkeepOf(place: Place) {
  const { connection, generation, alias, write, read, written } = place;
  return {
    physicallyErase: (rowIds, epoch) =>
      write(epoch, async () => {
        const keys = keysOf(generation.tenant, rowIds);
        const rows = await fetchStored(place, keys);
        return eraseRows(connection, { alias, dims: generation.dims, keys, rows });
      }),
    stats: async () => {
      const { data: rows } = await read(() =>
        connection.ask((client) =>
          client.count({ collection_name: alias, expr: whereTenant(generation.tenant), ...strong }),
        ),
      );
      const changed = written.get(alias) ?? 0;
      return {
        rows,
        unindexedRows: Math.min(rows, changed),
        wantsCompaction: changed > churn,
      };
    },
    compact: async (epoch) => {
      await write(epoch, () => flushAndCompact(connection, alias));
      written.delete(alias);
    },
  } satisfies Partial<VectorSink>;
}
