import type { PlatformError } from '../../domain/errors.js';
import { PlatformError as Refusal } from '../../domain/errors.js';
import { readCsv } from './csv-reader.js';
import { readJsonl } from './jsonl-reader.js';
import { readParquet } from './parquet-reader.js';
import type { TableBatch, TableShape, TableSource } from './table-reader.js';

/** The refusal of a file without data rows, `DATASET_EMPTY`. */
export const emptyTable = (): PlatformError =>
  new Refusal('DATASET_EMPTY', 'The file has no data rows.');

/** Rows of a source in its format, in file order, about 1,000 at a time. Throws `DATASET_UNREADABLE`. */
export function readTable(source: TableSource, shape: TableShape): AsyncGenerator<TableBatch> {
  switch (shape.format.format) {
    case 'csv':
      return readCsv(source, shape);
    case 'jsonl':
      return readJsonl(source, shape);
    case 'parquet':
      return readParquet(source, shape);
  }
}

/** What the first rows of a file show. `raggedRows` are row numbers, at most 100. */
export interface TableInspection {
  rows: number;
  raggedRows: number[];
  ignoredColumns: readonly string[];
}

/**
 * Reads the first rows of a source to refuse it before any work is started: `DATASET_EMPTY` without data rows,
 * `DATASET_UNREADABLE` for a wrong format, delimiter, header or missing column.
 * @param options.maxRows rows to look at (1,000); Infinity reads the whole file
 */
export async function inspectTable(
  source: TableSource,
  shape: TableShape,
  options: { maxRows?: number | undefined } = {},
): Promise<TableInspection> {
  const maxRows = options.maxRows ?? 1_000;
  const found: TableInspection = { rows: 0, raggedRows: [], ignoredColumns: [] };
  for await (const { rows, ignoredColumns } of readTable(source, shape)) {
    found.rows += rows.length;
    found.ignoredColumns = ignoredColumns;
    for (const row of rows) {
      if ('problem' in row && row.problem.rule === 'ragged' && found.raggedRows.length < 100)
        found.raggedRows.push(row.number);
    }
    if (found.rows >= maxRows) break;
  }
  if (found.rows === 0) throw emptyTable();
  return found;
}
