import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { parquetMetadataAsync, parquetScan, parquetSchema } from 'hyparquet';
import type { AsyncBuffer, Compressors, DecodedArray, FileMetaData, RowGroup } from 'hyparquet';
import { PlatformError } from '../../domain/errors.js';
import { BATCH_ROWS, mapColumns, unreadable } from './table-reader.js';
import type { ColumnMap, RawRow, TableBatch, TableShape, TableSource } from './table-reader.js';

const MAX_GROUP_BYTES = 1024 * 1024 * 1024;
const SMALL_GROUP_BYTES = 64 * 1024 * 1024;
const MAX_GROUP_CELLS = 100_000_000;
const SLICE_ROWS = 100_000;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Stands in a decoded column for text whose bytes are not UTF-8. */
const badText = Symbol('not UTF-8');

const compressors: Compressors = {
  GZIP: (input, outputLength) => gunzipSync(input, { maxOutputLength: outputLength }),
  BROTLI: (input, outputLength) => brotliDecompressSync(input, { maxOutputLength: outputLength }),
  ZSTD: (input, outputLength) => zstdDecompressSync(input, { maxOutputLength: outputLength }),
};

const parsers = {
  stringFromBytes(bytes: Uint8Array | undefined): unknown {
    if (!bytes) return bytes;
    try {
      return utf8.decode(bytes);
    } catch {
      return badText;
    }
  },
};

const bufferOf = (source: TableSource): AsyncBuffer => ({
  byteLength: source.sizeBytes,
  async slice(start, end = source.sizeBytes) {
    const from = start < 0 ? Math.max(0, source.sizeBytes + start) : start;
    const bytes = await source.readRange(from, Math.min(end, source.sizeBytes));
    const copy = new ArrayBuffer(bytes.byteLength);
    new Uint8Array(copy).set(bytes);
    return copy;
  },
});

/** Anything but our own refusals means that the bytes are not the Parquet they say they are. */
const translate = (error: unknown): PlatformError =>
  error instanceof PlatformError
    ? error
    : unreadable('The file is not Parquet that can be read.', {
        internal: error instanceof Error ? error.message : String(error),
      });

interface OpenFile {
  file: AsyncBuffer;
  metadata: FileMetaData;
  columns: ColumnMap;
  names: string[];
}

async function openFile(source: TableSource, shape: TableShape): Promise<OpenFile> {
  const file = bufferOf(source);
  const metadata = await parquetMetadataAsync(file, { geoparquet: false });
  const found = parquetSchema(metadata).children.map(({ element }) => element.name);
  const columns = mapColumns(shape.contract, found);
  const names = columns.positions.flatMap((at) => found[at] ?? []);
  return { file, metadata, columns, names };
}

/** A large group is read in slices where an offset index lets pages be read on their own, else at once. */
function stepOf(group: RowGroup, names: readonly string[]): number {
  const read = group.columns.filter(({ meta_data }) =>
    names.includes(meta_data?.path_in_schema[0] ?? ''),
  );
  const size = read.reduce(
    (total, one) => total + (one.meta_data?.total_uncompressed_size ?? 0n),
    0n,
  );
  const hasIndex = read.every((one) => one.offset_index_offset !== undefined);
  const rows = Number(group.num_rows);
  // Run-length coding lets a few bytes claim any number of rows, so cells are bounded as well as bytes.
  if (!hasIndex && (size > BigInt(MAX_GROUP_BYTES) || rows * read.length > MAX_GROUP_CELLS))
    throw unreadable('A row group is larger than 1 GiB or 10^8 cells; write smaller row groups.');
  return hasIndex && (size > BigInt(SMALL_GROUP_BYTES) || rows > 2 * SLICE_ROWS)
    ? SLICE_ROWS
    : rows;
}

interface Slice {
  start: number;
  end: number;
}

function* slicesOf({ metadata, names }: OpenFile): Generator<Slice> {
  let start = 0;
  for (const group of metadata.row_groups) {
    const rows = Number(group.num_rows);
    const step = Math.max(1, stepOf(group, names));
    for (let at = 0; at < rows; at += step)
      yield { start: start + at, end: start + Math.min(rows, at + step) };
    start += rows;
  }
}

function toRow(number: number, cells: unknown[]): RawRow {
  return cells.includes(badText)
    ? { number, problem: { rule: 'encoding', detail: 'is not UTF-8' } }
    : { number, cells };
}

/**
 * Rows of a Parquet file, a row group at a time (at most 1 GiB of column data and 10⁸ cells); large groups 100,000
 * rows at a time where the file has an offset index. Snappy, gzip, Brotli and Zstandard. Columns are contract fields by
 * name; others are not read. Throws `DATASET_UNREADABLE` for bytes that are not such a file.
 */
export async function* readParquet(
  source: TableSource,
  shape: TableShape,
): AsyncGenerator<TableBatch> {
  try {
    const open = await openFile(source, shape);
    const { file, metadata, columns, names } = open;
    const scan = await parquetScan({
      file,
      metadata,
      compressors,
      parsers,
      geoparquet: false,
      columns: names,
    });
    for (const { start, end } of slicesOf(open)) {
      const data = new Map<string, DecodedArray>();
      for (const column of names)
        data.set(column, await scan.readColumn({ column, rowStart: start, rowEnd: end }));
      const aligned = shape.contract.fields.map(({ name }) => data.get(name));
      for (let from = start; from < end; from += BATCH_ROWS) {
        const to = Math.min(end, from + BATCH_ROWS);
        const rows: RawRow[] = [];
        for (let at = from; at < to; at++) {
          const cells = aligned.map((column): unknown => column?.[at - start] ?? null);
          rows.push(toRow(at + 1, cells));
        }
        yield { rows, ignoredColumns: columns.ignoredColumns };
      }
    }
  } catch (error) {
    throw translate(error);
  }
}
