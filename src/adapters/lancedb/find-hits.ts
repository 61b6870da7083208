import type { Query, Table, VectorQuery } from '@lancedb/lancedb';
import type { RecordBatch, Table as ArrowTable } from 'apache-arrow';
import { byScore } from '../../domain/etl/check-sink-batch.js';
import type { Hit } from '../../domain/etl/vector-sink.js';
import { bigintsOf, numbersOf, stringsOf } from './arrow-rows.js';

/**
 * Which row is at an address of a table. Files of a table never change and none is named twice, so what is at an address
 * stays there until it is gone: an entry is never wrong. Reading the ids of a hundred hits costs more than finding them.
 */
export type AddressBook = Map<bigint, { rowId: string; docId: string }>;

/** Entries of one table's book, about 20 MB; a full book is begun anew. */
const MAX_ENTRIES = 100_000;

/** A search, and how its score is read. */
interface Search {
  search: () => Query | VectorQuery;
  column: '_distance' | '_score';
  scoreOf: (value: number) => number;
}

const idColumns = ['rowId', 'docId'];

/** Enters the rows of a result that carries addresses. */
function enter(book: AddressBook, rows: ArrowTable | RecordBatch): void {
  const docIds = [...stringsOf(rows, 'docId')];
  const addresses = bigintsOf(rows, '_rowid');
  if (book.size + addresses.length > MAX_ENTRIES) book.clear();
  let at = 0;
  for (const rowId of stringsOf(rows, 'rowId')) {
    const address = addresses[at];
    if (address !== undefined) book.set(address, { rowId, docId: docIds[at] ?? '' });
    at += 1;
  }
}

/** Hits of a search, best first; the ids of rows that were found before come from the book. */
export async function findHits(
  book: AddressBook,
  table: Table,
  { search, column, scoreOf }: Search,
): Promise<Hit[]> {
  const found = await search().withRowId().select([column]).toArrow();
  const addresses = bigintsOf(found, '_rowid');
  const scores = numbersOf(found, column);
  const unknown = addresses.filter((address) => !book.has(address));
  if (unknown.length > 0)
    enter(book, await table.takeRowIds(unknown).withRowId().select(idColumns).toArrow());
  const hits: Hit[] = [];
  for (const [at, address] of addresses.entries()) {
    const row = book.get(address);
    if (row === undefined) return findWhole({ search, column, scoreOf });
    hits.push({ ...row, score: scoreOf(scores[at] ?? 0) });
  }
  return hits.sort(byScore);
}

/** The same in one read: a compaction moved the rows between finding and reading them. */
async function findWhole({ search, column, scoreOf }: Search): Promise<Hit[]> {
  const found = await search()
    .select([...idColumns, column])
    .toArrow();
  const docIds = [...stringsOf(found, 'docId')];
  const scores = numbersOf(found, column);
  return [...stringsOf(found, 'rowId')]
    .map((rowId, at) => ({ rowId, docId: docIds[at] ?? '', score: scoreOf(scores[at] ?? 0) }))
    .sort(byScore);
}
