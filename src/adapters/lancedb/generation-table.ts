import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Connection, Table } from '@lancedb/lancedb';
import { AddressBook, type AddressBooks } from './address-book.js';
import { rowSchema } from './arrow-rows.js';
import { type GenerationFile, generationStamp, readGenerationFile } from './generation-file.js';
import { type LanceModule, loadLancedb } from './load-lancedb.js';
import { syncFolder } from './sync-folder.js';

/**
 * Numbers of the approximate index: recall@10 0.987 on sparse hashed vectors; `ef` must reach k × refineFactor. The index
 * holds bytes, so candidates are ranked again by their vectors: twice as many as are asked for, or all of them from
 * `refinedRows` on, where the best ten are among them anyway.
 */
export const vectorIndex = {
  ...{ m: 20, efConstruction: 300, ef: 200 },
  ...{ refineFactor: 2, refinedRows: 50 },
} as const;

/** An open generation. */
export interface OpenTable {
  table: Table;
  file: GenerationFile;
  stamp: string;
  book: AddressBook;
}

/** Opens a folder so that every query sees the newest commit of any process. */
export async function connectFolder(folder: string): Promise<Connection> {
  const { lance } = await loadLancedb();
  return lance.connect(folder, { readConsistencyInterval: 0 });
}

/** A table without rows under a fresh name, with its key and its indexes. */
export async function createTable(
  connection: Connection,
  dims: number,
): Promise<{ name: string; table: Table }> {
  const { lance, arrow } = await loadLancedb();
  const name = `rows-${randomBytes(6).toString('hex')}`;
  const table = await connection.createEmptyTable(name, rowSchema(arrow, dims));
  // Before the first row: without a key, concurrent merges duplicate rows in silence.
  await table.setUnenforcedPrimaryKey('rowId');
  await createScalarIndexes(lance, table);
  return { name, table };
}

/** The indexes that every generation has. Made on an empty table too: text cannot be searched without one. */
async function createScalarIndexes(lance: LanceModule, table: Table): Promise<void> {
  await table.createIndex('text', {
    config: lance.Index.fts({
      withPosition: false,
      baseTokenizer: 'simple',
      language: 'English',
      lowercase: true,
      stem: true,
      removeStopWords: true,
      asciiFolding: true,
    }),
  });
  await table.createIndex('acl', { config: lance.Index.labelList() });
  await table.createIndex('tags', { config: lance.Index.labelList() });
  await table.createIndex('rowId', { config: lance.Index.btree() });
}

/** Builds the approximate index from all rows. */
export async function createVectorIndex(lance: LanceModule, table: Table): Promise<void> {
  const { m, efConstruction } = vectorIndex;
  await table.createIndex('vector', {
    config: lance.Index.hnswSq({ distanceType: 'cosine', numPartitions: 1, m, efConstruction }),
  });
}

/** Whether the approximate index is there. */
export const hasVectorIndex = async (table: Table): Promise<boolean> =>
  (await table.listIndices()).some(({ columns }) => columns.includes('vector'));

/** Opens the table that the generation's file names; `undefined` where the generation does not exist. */
export async function openGeneration(
  folder: string,
  connection: Connection,
  books: AddressBooks,
): Promise<OpenTable | undefined> {
  const stamp = await generationStamp(folder);
  const file = await readGenerationFile(folder);
  if (stamp === undefined || file === undefined) return undefined;
  return {
    table: await connection.openTable(file.table),
    ...{ file, stamp, book: new AddressBook(books) },
  };
}

/** Removes tables that the file does not name: what an interrupted creation or erasure left. */
export async function removeOtherTables(folder: string, kept: string): Promise<void> {
  for (const name of await readdir(folder))
    if (name.endsWith('.lance') && name !== `${kept}.lance`)
      await rm(join(folder, name), { recursive: true, force: true });
  await syncFolder(folder, new Set());
}
