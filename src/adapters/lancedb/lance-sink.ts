import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Connection, Table } from '@lancedb/lancedb';
import {
  checkSinkBatch,
  checkSinkPatches,
  vectorFault,
} from '../../domain/etl/check-sink-batch.js';
import type { GenerationSpec, Hit, SinkCaps, VectorSink } from '../../domain/etl/vector-sink.js';
import { PlatformError } from '../../domain/errors.js';
import type { AddressBooks } from './address-book.js';
import { rowsFromArrow, rowsToArrow, stringsOf } from './arrow-rows.js';
import { eraseRows } from './erase-rows.js';
import { findHits } from './find-hits.js';
import { generationStamp, replaceGenerationFile } from './generation-file.js';
import {
  connectFolder,
  createVectorIndex,
  hasVectorIndex,
  openGeneration,
  type OpenTable,
  vectorIndex,
} from './generation-table.js';
import { loadLancedb } from './load-lancedb.js';
import { syncFolder } from './sync-folder.js';
import { whereAccess, whereIds, whereSlice } from './where.js';

/** When the store does what. */
export interface LanceSinkOptions {
  /** Up to so many rows vectors are searched exactly, without an index. */
  exactRows: number;
  /** How long versions stay after a commit: a reader of another process may still hold one. */
  keepVersionsMs: number;
  /** Rows outside the text index from which compaction is worth it. */
  unindexedRows: number;
  /** Versions from which compaction is worth it. */
  versions: number;
}

/** Delta indexes after which the approximate index is built anew: each is searched in turn. */
const maxVectorIndexes = 6;

/** How LanceDB 0.30 fails where a query has only stop words and some rows are outside the text index. */
const onlyStopWords = 'all columns in a record batch must have the same length';

const unavailable = (error: unknown): PlatformError =>
  error instanceof PlatformError
    ? error
    : new PlatformError('SINK_UNAVAILABLE', 'The vector store failed.', {
        internal: String(error),
      });

const fenced = (mine: bigint, newest: string) =>
  new PlatformError('SINK_FENCED', `Epoch ${mine} writes no more: epoch ${newest} has the lease.`);

/** One generation of one tenant in its folder. Writes of one process are serialised; the lease serialises processes. */
export class LanceSink implements VectorSink {
  readonly #folder: string;
  readonly #generation: GenerationSpec;
  readonly #books: AddressBooks;
  readonly #options: LanceSinkOptions;
  readonly #synced = new Set<string>();
  readonly caps: SinkCaps;
  #connection: Promise<Connection> | undefined;
  #open: OpenTable | undefined;
  #opening: Promise<OpenTable> | undefined;
  #writes: Promise<unknown> = Promise.resolve();
  /** Table whose text index is known to have rows. */
  #seeded: string | undefined;

  constructor(
    place: { folder: string; generation: GenerationSpec; books: AddressBooks },
    caps: SinkCaps,
    options: LanceSinkOptions,
  ) {
    this.#folder = place.folder;
    this.#generation = place.generation;
    this.#books = place.books;
    this.caps = caps;
    this.#options = options;
  }

  /** Another process may have replaced the table: one `stat` per call finds out. */
  async #current(): Promise<OpenTable> {
    const stamp = await generationStamp(this.#folder);
    if (this.#open !== undefined && this.#open.stamp === stamp) return this.#open;
    this.#opening ??= this.#reopen().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #reopen(): Promise<OpenTable> {
    this.#connection ??= connectFolder(this.#folder);
    const open = await openGeneration(this.#folder, await this.#connection, this.#books);
    const { generationId, embedFp, dims } = this.#generation;
    if (open === undefined)
      throw new PlatformError('SINK_REFUSED', `Generation ${generationId} is not in the store.`);
    if (open.file.embedFp !== embedFp || open.file.dims !== dims)
      throw new PlatformError('SINK_REFUSED', `Generation ${generationId} was embedded otherwise.`);
    this.#forget();
    this.#open = open;
    return open;
  }

  #forget(): void {
    if (this.#open !== undefined) this.#books.drop(this.#open.book);
    this.#open = undefined;
  }

  /** Reads once more after a failure: compaction or erasure may have removed the files under the first try. */
  async #read<T>(work: (open: OpenTable) => Promise<T>): Promise<T> {
    try {
      return await work(await this.#current());
    } catch (error) {
      if (error instanceof PlatformError) throw error;
      this.#forget();
    }
    try {
      return await work(await this.#current());
    } catch (error) {
      throw unavailable(error);
    }
  }

  /** Writes one after the other, each durable before it counts, and none of an epoch that lost the lease. */
  #write<T>(epoch: bigint | undefined, work: (open: OpenTable) => Promise<T>): Promise<T> {
    const next = this.#writes.then(async () => {
      try {
        const open = await this.#fence(epoch);
        const result = await work(open);
        await syncFolder(join(this.#folder, `${open.file.table}.lance`), this.#synced);
        await this.#fence(epoch);
        return result;
      } catch (error) {
        throw unavailable(error);
      }
    });
    this.#writes = next.catch(() => undefined);
    return next;
  }

  async #fence(epoch: bigint | undefined): Promise<OpenTable> {
    const open = await this.#current();
    if (epoch === undefined || epoch === BigInt(open.file.epoch)) return open;
    if (epoch < BigInt(open.file.epoch)) throw fenced(epoch, open.file.epoch);
    await replaceGenerationFile(this.#folder, { ...open.file, epoch: String(epoch) });
    return this.#current();
  }

  replaceRows: VectorSink['replaceRows'] = async (batch) => {
    checkSinkBatch(batch, this.#generation, this.caps);
    const { adds, deleteIds, epoch } = batch;
    const { arrow } = await loadLancedb();
    return this.#write(epoch, async ({ table, file }) => {
      // Nothing to write, but an epoch that lost the lease still learns it here.
      if (adds.length + deleteIds.length === 0) return {};
      if (adds.length === 0) {
        const { version } = await table.delete(whereIds(deleteIds));
        return { token: String(version) };
      }
      const merge = table.mergeInsert('rowId').whenMatchedUpdateAll().whenNotMatchedInsertAll();
      // The clause joins the whole table, so it is left out where nothing is to go.
      const { version } = await (
        deleteIds.length === 0
          ? merge
          : merge.whenNotMatchedBySourceDelete({ where: whereIds(deleteIds) })
      ).execute(rowsToArrow(arrow, adds, this.#generation.dims));
      await this.#seedTextIndex(table, file.table);
      return { token: String(version) };
    });
  };

  /** Over an empty text index, rows outside it are ranked without statistics: the first rows go into it at once. */
  async #seedTextIndex(table: Table, name: string): Promise<void> {
    if (this.#seeded === name) return;
    if ((await table.indexStats('text_idx'))?.numIndexedRows === 0) await table.optimize();
    this.#seeded = name;
  }

  awaitVisible: VectorSink['awaitVisible'] = () => Promise.resolve();

  /** Whole rows are written again: a patch of single columns would leave the list index as it was. */
  patchAccess: VectorSink['patchAccess'] = async (patches, epoch) => {
    checkSinkPatches(patches);
    const { arrow } = await loadLancedb();
    const accessOf = new Map(patches.map(({ rowId, access }) => [rowId, access]));
    const ids = [...accessOf.keys()];
    for (let at = 0; at < ids.length; at += this.caps.maxRows)
      await this.#write(epoch, async ({ table, file }) => {
        const where = whereIds(ids.slice(at, at + this.caps.maxRows));
        const found = rowsFromArrow(await table.query().where(where).toArrow());
        if (found.length === 0) return;
        const rows = found.map((row) => ({ ...row, ...accessOf.get(row.rowId) }));
        await table
          .mergeInsert('rowId')
          .whenMatchedUpdateAll()
          .execute(rowsToArrow(arrow, rows, this.#generation.dims));
        await this.#seedTextIndex(table, file.table);
      });
  };

  fetch: VectorSink['fetch'] = (rowIds) =>
    this.#read(async ({ table }) =>
      rowIds.length === 0
        ? []
        : rowsFromArrow(await table.query().where(whereIds(rowIds)).toArrow()),
    );

  scanIds: VectorSink['scanIds'] = (slice) => this.#scan(whereSlice(slice));

  async *#scan(where: string) {
    const { table } = await this.#read((open) => Promise.resolve(open));
    const columns = ['rowId', 'docId', 'accessHash'];
    try {
      // One stream reads one version, whatever is committed meanwhile.
      for await (const batch of table.query().where(where).select(columns)) {
        const docIds = [...stringsOf(batch, 'docId')];
        const hashes = [...stringsOf(batch, 'accessHash')];
        let at = 0;
        for (const rowId of stringsOf(batch, 'rowId')) {
          yield { rowId, docId: docIds[at] ?? '', accessHash: hashes[at] ?? '' };
          at += 1;
        }
      }
    } catch (error) {
      throw unavailable(error);
    }
  }

  search: VectorSink['search'] = async ({ leg, k, filter, exact }) => {
    if (filter.tenant !== this.#generation.tenant || k < 1) return [];
    const where = whereAccess(filter);
    return this.#read((open) =>
      'vector' in leg
        ? this.#byVector(open, leg.vector, { k, where, exact: exact ?? false })
        : this.#byText(open, leg.text, { k, where }),
    );
  };

  #byVector(
    { table, book }: OpenTable,
    vector: Float32Array,
    { k, where, exact }: { k: number; where: string; exact: boolean },
  ): Promise<Hit[]> {
    const fault = vectorFault(vector, this.#generation.dims);
    if (fault !== undefined || this.#generation.dims === 0)
      throw new PlatformError('SINK_REFUSED', `The query vector ${fault ?? 'meets text alone'}.`);
    const { ef, refineFactor, refinedRows } = vectorIndex;
    const refine = k < refinedRows ? refineFactor : 1;
    const search = () => {
      const query = table.query().nearestTo(vector).distanceType('cosine').limit(k).where(where);
      return exact
        ? query.bypassVectorIndex()
        : query.ef(Math.max(ef, k * refine)).refineFactor(refine);
    };
    return findHits(book, table, {
      search,
      column: '_distance',
      scoreOf: (distance) => 1 - distance,
    });
  }

  async #byText(
    { table, book }: OpenTable,
    text: string,
    { k, where }: { k: number; where: string },
  ): Promise<Hit[]> {
    if (!/[\p{L}\p{N}]/u.test(text)) return [];
    const search = () =>
      table.query().fullTextSearch(text, { columns: 'text' }).limit(k).where(where);
    try {
      return await findHits(book, table, { search, column: '_score', scoreOf: (score) => score });
    } catch (error) {
      if (String(error).includes(onlyStopWords)) return [];
      throw error;
    }
  }

  physicallyErase: VectorSink['physicallyErase'] = async (rowIds, epoch) => {
    this.#connection ??= connectFolder(this.#folder);
    const connection = await this.#connection;
    const next = this.#writes.then(async () => {
      try {
        const open = await this.#fence(epoch);
        const report = await eraseRows({ folder: this.#folder, connection }, open, rowIds);
        this.#synced.clear();
        return report;
      } catch (error) {
        throw unavailable(error);
      }
    });
    this.#writes = next.catch(() => undefined);
    return next;
  };

  stats: VectorSink['stats'] = () =>
    this.#read(async ({ table, file }) => {
      const [rows, text, versions] = await Promise.all([
        table.countRows(),
        table.indexStats('text_idx'),
        readdir(join(this.#folder, `${file.table}.lance`, '_versions')),
      ]);
      const unindexedRows = text?.numUnindexedRows ?? rows;
      const wantsCompaction =
        unindexedRows > this.#options.unindexedRows ||
        versions.length > this.#options.versions ||
        (this.#wantsVectorIndex(rows) && !(await hasVectorIndex(table)));
      return { rows, unindexedRows, wantsCompaction };
    });

  #wantsVectorIndex(rows: number): boolean {
    return this.#generation.dims > 0 && rows > this.#options.exactRows;
  }

  compact = async (epoch?: bigint): Promise<void> => {
    const { lance } = await loadLancedb();
    await this.#write(epoch, async ({ table }) => {
      const built = await hasVectorIndex(table);
      if (!built && this.#wantsVectorIndex(await table.countRows()))
        await createVectorIndex(lance, table);
      else if (built) {
        const indexes = (await table.indexStats('vector_idx'))?.numIndices ?? 0;
        if (indexes > maxVectorIndexes) await createVectorIndex(lance, table);
      }
      const cleanupOlderThan = new Date(Date.now() - this.#options.keepVersionsMs);
      await table.optimize({ cleanupOlderThan });
    });
  };

  /** Waits for the writes that have begun and lets go of the files. */
  async close(): Promise<void> {
    await this.#writes;
    await this.#open?.book.settled();
    this.#open?.table.close();
    this.#forget();
    (await this.#connection)?.close();
    this.#connection = undefined;
  }
}
