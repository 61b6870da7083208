import { requiredColumns } from '../../domain/datasets/dataset-contract.js';
import { BATCH_ROWS, missingColumns, unreadable } from './table-reader.js';
import type { RawRow, TableBatch, TableShape, TableSource } from './table-reader.js';

const MAX_LINE_BYTES = 4 * 1024 * 1024;
const MAX_IGNORED = 100;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A line's bytes, or undefined where it is too long to keep. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array | undefined> {
  let pending: Uint8Array[] = [];
  let size = 0;
  const take = (): Uint8Array | undefined => {
    const line = size > MAX_LINE_BYTES ? undefined : Buffer.concat(pending);
    pending = [];
    size = 0;
    return line;
  };
  const keep = (part: Uint8Array): void => {
    size += part.byteLength;
    if (size <= MAX_LINE_BYTES) pending.push(part);
    else pending = [];
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      keep(chunk.subarray(from, at));
      yield take();
      from = at + 1;
    }
    keep(chunk.subarray(from));
  }
  if (size > 0) yield take();
}

const problem = (number: number, detail: string, rule: 'unparseable' | 'encoding'): RawRow => ({
  number,
  problem: { rule, detail },
});

type Parsed = { object: Record<string, unknown> } | { row: RawRow } | 'blank';

function parseLine(line: Uint8Array | undefined, number: number): Parsed {
  if (!line) {
    const detail = `is longer than ${MAX_LINE_BYTES} bytes`;
    return { row: problem(number, detail, 'unparseable') };
  }
  let text: string;
  try {
    text = utf8.decode(line);
  } catch {
    return { row: problem(number, 'is not UTF-8', 'encoding') };
  }
  if (text.trim() === '') return 'blank';
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return { object: value as Record<string, unknown> };
  } catch {
    return { row: problem(number, 'is not JSON', 'unparseable') };
  }
  return { row: problem(number, 'is not a JSON object', 'unparseable') };
}

/**
 * Rows of a JSON-lines file (UTF-8, one object a line, blank lines skipped). Keys are contract fields; others are
 * ignored and listed. Throws `DATASET_UNREADABLE` if none of the first 1,000 lines is an object, or a required field
 * occurs in none of them.
 */
export async function* readJsonl(
  source: TableSource,
  { contract }: TableShape,
): AsyncGenerator<TableBatch> {
  const names = contract.fields.map(({ name }) => name);
  const known = new Set(names);
  const seen = new Set<string>();
  const ignored = new Set<string>();
  let rows: RawRow[] = [];
  let number = 0;
  let isFirst = true;
  const flush = (): TableBatch => {
    if (isFirst && !rows.some((row) => 'cells' in row))
      throw unreadable('No line of the file is a JSON object.');
    const missing = requiredColumns(contract).filter((name) => !seen.has(name));
    if (isFirst && missing.length > 0) throw missingColumns(missing);
    isFirst = false;
    const batch = { rows, ignoredColumns: [...ignored] };
    rows = [];
    return batch;
  };
  for await (const line of linesOf(source.open())) {
    const parsed = parseLine(line, number + 1);
    if (parsed === 'blank') continue;
    number++;
    if ('row' in parsed) rows.push(parsed.row);
    else {
      for (const key of Object.keys(parsed.object)) {
        if (known.has(key)) seen.add(key);
        else if (ignored.size < MAX_IGNORED) ignored.add(key);
      }
      const { object } = parsed;
      const cells = names.map((name) => (Object.hasOwn(object, name) ? object[name] : null));
      rows.push({ number, cells });
    }
    if (rows.length >= BATCH_ROWS) yield flush();
  }
  if (rows.length > 0) yield flush();
}
