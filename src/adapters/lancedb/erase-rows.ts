import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Connection, Table } from '@lancedb/lancedb';
import type { EraseReport } from '../../domain/etl/vector-sink.js';
import { rowsFromArrow } from './arrow-rows.js';
import { replaceGenerationFile } from './generation-file.js';
import { createTable, type OpenTable, removeOtherTables } from './generation-table.js';
import { loadLancedb } from './load-lancedb.js';
import { syncFolder } from './sync-folder.js';
import { whereIds } from './where.js';

/** Erased rows whose bytes are looked for; all ids are counted, bytes of at most these many rows. */
const maxProbes = 64;

const read = async (table: Table, where: string) => {
  const found = await table.query().where(where).toArrow();
  return rowsFromArrow(found);
};

async function copyRows(from: Table, to: Table, without: string): Promise<void> {
  const { arrow } = await loadLancedb();
  for await (const batch of from.query().where(`NOT (${without})`))
    if (batch.numRows > 0) await to.add(new arrow.Table([batch]));
  await to.optimize();
}

/** True where a surviving row has the very same vector: equal texts embed equally, and that is no trace. */
async function survives(table: Table, vector: Float32Array): Promise<boolean> {
  const near = await table
    .query()
    .nearestTo(vector)
    .distanceType('cosine')
    .bypassVectorIndex()
    .limit(1)
    .select(['vector', '_distance'])
    .toArrow();
  const closest = near.getChild('vector')?.get(0) as Iterable<number> | undefined;
  return closest !== undefined && Array.from(closest).every((value, at) => value === vector[at]);
}

async function tracesIn(folder: string, needles: readonly Buffer[]): Promise<number> {
  const found = new Set<number>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const bytes = await readFile(join(entry.parentPath, entry.name));
    for (const [at, needle] of needles.entries()) if (bytes.includes(needle)) found.add(at);
  }
  return found.size;
}

/**
 * Erases rows with their bytes: deleting and compacting leaves them in old files, so the rows that stay are written
 * into a new table and the old folder is removed. `remaining` is what is found afterwards by id, and by the bytes of
 * the vector (of the id where there are no vectors) in every file of the generation.
 */
export async function eraseRows(
  place: { folder: string; connection: Connection },
  open: OpenTable,
  rowIds: readonly string[],
): Promise<EraseReport> {
  const { folder, connection } = place;
  const where = whereIds(rowIds);
  const erased = await read(open.table, where);
  const { name, table } = await createTable(connection, open.file.dims);
  await copyRows(open.table, table, where);
  await syncFolder(join(folder, `${name}.lance`), new Set());
  await replaceGenerationFile(folder, { ...open.file, table: name });
  await rm(join(folder, `${open.file.table}.lance`), { recursive: true, force: true });
  await removeOtherTables(folder, name);
  const byId = await table.countRows(where);
  const step = Math.max(1, Math.ceil(erased.length / maxProbes));
  const needles: Buffer[] = [];
  for (const { vector, rowId } of erased.filter((_, at) => at % step === 0))
    if (open.file.dims === 0) needles.push(Buffer.from(rowId));
    else if (!(await survives(table, vector)))
      needles.push(Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength));
  const byBytes = await tracesIn(folder, needles);
  return { erased: erased.length, remaining: Math.max(byId, byBytes), proof: 'verified' };
}
