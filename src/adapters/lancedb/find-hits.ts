import type { Query, Table, VectorQuery } from '@lancedb/lancedb';
import { byScore } from '../../domain/etl/check-sink-batch.js';
import type { Hit } from '../../domain/etl/vector-sink.js';
import type { AddressBook } from './address-book.js';
import { bigintsOf, numbersOf, stringsOf } from './arrow-rows.js';

/** A search, and how its score is read. */
interface Search {
  search: () => Query | VectorQuery;
  column: '_distance' | '_score';
  scoreOf: (value: number) => number;
}

const idColumns = ['rowId', 'docId'];

/** Hits of a search, best first; the ids of rows that were found before come from the book. */
export async function findHits(
  book: AddressBook,
  table: Table,
  { search, column, scoreOf }: Search,
): Promise<Hit[]> {
  const found = await search().withRowId().select([column]).toArrow();
  const addresses = bigintsOf(found, '_rowid');
  const scores = numbersOf(found, column);
  const rows = await book.find(table, addresses);
  const hits: Hit[] = [];
  for (const [at, row] of rows.entries()) {
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
