import { pipeline, Readable } from 'node:stream';
import { Parser } from 'csv-parse';
import { BATCH_ROWS, mapColumns, unreadable } from './table-reader.js';
import type { ColumnMap, RawRow, TableBatch, TableShape, TableSource } from './table-reader.js';

const MAX_RECORD_BYTES = 4 * 1024 * 1024;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const SUGGESTED_DELIMITERS = [',', ';', '\t', '|'];
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A record as the parser gives it: cells hold one character per byte, so that bad UTF-8 stays visible. */
interface ByteRecord {
  number: number;
  cells: string[];
}

async function* withoutBom(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (!head) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < BOM.length) continue;
    yield* withoutMark(head);
    head = undefined;
  }
  if (head?.length) yield* withoutMark(head);
}

function* withoutMark(head: Buffer): Generator<Uint8Array> {
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff))
    throw unreadable('The file is UTF-16; save it as UTF-8.');
  yield head.subarray(head.subarray(0, 3).equals(BOM) ? 3 : 0);
}

/** Text of a cell, or undefined if its bytes are not UTF-8. */
function decode(cell: string): string | undefined {
  if (/^[\x00-\x7f]*$/.test(cell)) return cell;
  try {
    return utf8.decode(Buffer.from(cell, 'latin1'));
  } catch {
    return undefined;
  }
}

/** Rows the parser could not read, and the fault that ends the file: a quote that swallows what follows. */
interface Faults {
  skipped: RawRow[];
  fatal: { number: number; code: string } | undefined;
}

function createParser({ format }: TableShape, faults: Faults): Parser {
  let number = format.header ? -1 : 0;
  return new Parser({
    // The delimiter goes in as UTF-8 bytes because the parser works on bytes.
    delimiter: Buffer.from(format.delimiter, 'utf8'),
    encoding: 'latin1',
    trim: format.trim,
    record_delimiter: ['\r\n', '\n'],
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    max_record_size: MAX_RECORD_BYTES,
    // The types of the parser say that a record stays a list of cells; it may become anything.
    on_record: (cells) => ({ number: ++number, cells }) as unknown as string[],
    on_skip: (error) => {
      number++;
      if (error?.code === 'INVALID_OPENING_QUOTE') {
        const problem = { rule: 'unparseable', detail: 'has a quote inside a value' } as const;
        faults.skipped.push({ number, problem });
      } else {
        faults.fatal ??= { number, code: error?.code ?? 'unknown' };
      }
      return undefined;
    },
  });
}

function failIfFatal({ fatal }: Faults): void {
  if (!fatal) return;
  const where = fatal.number < 1 ? 'The header' : `Row ${fatal.number}`;
  const what =
    fatal.code === 'CSV_MAX_RECORD_SIZE'
      ? `is longer than ${MAX_RECORD_BYTES} bytes: a quote may not be closed`
      : fatal.code === 'CSV_QUOTE_NOT_CLOSED'
        ? 'opens a quote that is never closed'
        : 'has text after a closing quote';
  throw unreadable(`${where} ${what}.`, { internal: fatal.code });
}

function suggestDelimiter(text: string, delimiter: string): string | undefined {
  return SUGGESTED_DELIMITERS.filter((one) => one !== delimiter && text.includes(one))[0];
}

/** A single cell where several are due means another delimiter, if the cell holds one. */
function failOnDelimiter(shape: TableShape, cells: readonly string[]): void {
  const [only] = cells;
  if (cells.length !== 1 || only === undefined || shape.contract.fields.length === 1) return;
  const suggested = suggestDelimiter(only, shape.format.delimiter);
  throw unreadable(
    suggested === undefined
      ? 'The file has one column; check the delimiter.'
      : `The file has one column; the delimiter is probably ${JSON.stringify(suggested)}.`,
    suggested === undefined ? {} : { extensions: { suggestedDelimiter: suggested } },
  );
}

interface Layout extends ColumnMap {
  width: number;
}

function layoutOf(shape: TableShape, header: readonly string[] | undefined): Layout {
  const { fields } = shape.contract;
  if (!header)
    return { positions: fields.map((_, i) => i), ignoredColumns: [], width: fields.length };
  const names = header.map((cell) => decode(cell)?.trim());
  if (names.some((name) => name === undefined)) throw unreadable('The header is not UTF-8.');
  failOnDelimiter(shape, header);
  const columns = names.filter((name) => name !== undefined);
  return { ...mapColumns(shape.contract, columns), width: columns.length };
}

function toRow(record: ByteRecord, { positions, width }: Layout): RawRow {
  const { number, cells } = record;
  if (cells.length !== width) {
    const detail = `has ${cells.length} cells instead of ${width}`;
    return { number, problem: { rule: 'ragged', detail } };
  }
  const decoded = positions.map((at) => (at < 0 ? null : decode(cells[at] ?? '')));
  return decoded.includes(undefined)
    ? { number, problem: { rule: 'encoding', detail: 'is not UTF-8' } }
    : { number, cells: decoded };
}

/** The first batch decides whether the file has the shape of the contract at all. */
function failIfAllRagged(rows: readonly RawRow[]): void {
  const ragged = rows.filter((row) => 'problem' in row && row.problem.rule === 'ragged');
  const [first] = ragged;
  if (!first || !('problem' in first) || ragged.length < rows.length) return;
  throw unreadable(`No row fits: row ${first.number} ${first.problem.detail}.`, {
    errors: ragged.slice(0, 100).map(({ number }) => ({
      pointer: `/rows/${number}`,
      code: 'ragged',
    })),
  });
}

/**
 * Rows of a CSV file (RFC 4180; line ends LF or CRLF, optional byte order mark, UTF-8) in bounded memory. Unquoted
 * cells are trimmed unless `trim` is false. A row with another number of cells, bytes that are not UTF-8 or a stray
 * quote is a row with a problem; throws `DATASET_UNREADABLE` where the file as a whole does not fit.
 */
export async function* readCsv(source: TableSource, shape: TableShape): AsyncGenerator<TableBatch> {
  const faults: Faults = { skipped: [], fatal: undefined };
  const parser = createParser(shape, faults);
  // A failure of the source destroys the parser, and the loop below throws it.
  pipeline(Readable.from(withoutBom(source.open())), parser, () => undefined);
  let layout = shape.format.header ? undefined : layoutOf(shape, undefined);
  let rows: RawRow[] = [];
  let isFirst = true;
  const flush = (): TableBatch => {
    const batch = [...rows, ...faults.skipped].sort((a, b) => a.number - b.number);
    rows = [];
    faults.skipped = [];
    if (isFirst) failIfAllRagged(batch);
    isFirst = false;
    return { rows: batch, ignoredColumns: layout?.ignoredColumns ?? [] };
  };
  for await (const record of parser as AsyncIterable<ByteRecord>) {
    failIfFatal(faults);
    if (!layout) {
      layout = layoutOf(shape, record.cells);
      continue;
    }
    if (isFirst && rows.length === 0) failOnDelimiter(shape, record.cells);
    rows.push(toRow(record, layout));
    if (rows.length + faults.skipped.length >= BATCH_ROWS) yield flush();
  }
  failIfFatal(faults);
  if (rows.length + faults.skipped.length > 0) yield flush();
}
