import { CsvError, parse } from 'csv-parse/sync';
import type { ParsedBlock } from '../../domain/etl/document.js';
import type { RowMode, SplitRows } from '../../domain/etl/rows.js';
import { decodeCsv } from './decode-text.js';
import { ParseRefusal } from './parse-refusal.js';
import type { Parsed } from './parse-text.js';

const DELIMITERS = [',', ';', '\t', '|'];
const SAMPLE_UNITS = 16_384;
const SAMPLE_RECORDS = 20;
const MAX_LINES_NAMED = 100;

interface CsvRecord {
  cells: string[];
  /** Line on which the record ends, 1-based. */
  line: number;
}

function recordsOf(text: string, delimiter: string, toLine?: number): CsvRecord[] {
  try {
    const rows = parse(text, {
      delimiter,
      bom: true,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      ...(toLine !== undefined && { to: toLine }),
    }) as unknown as { record: string[]; info: { lines: number } }[];
    return rows.map(({ record, info }) => ({ cells: record, line: info.lines }));
  } catch (error) {
    const line =
      error instanceof CsvError && typeof error['lines'] === 'number' ? error['lines'] : 0;
    throw new ParseRefusal('parse_failed', { detail: 'csv', line });
  }
}

/** The delimiter under which most of the first records have the width of the first, the wider the better. */
function detectDelimiter(text: string): string {
  const cut = text.lastIndexOf('\n', SAMPLE_UNITS);
  const sample = text.length > SAMPLE_UNITS && cut > 0 ? text.slice(0, cut) : text;
  let best = { delimiter: ',', score: 0 };
  for (const delimiter of DELIMITERS) {
    let records: CsvRecord[];
    try {
      records = recordsOf(sample, delimiter, SAMPLE_RECORDS);
    } catch {
      continue;
    }
    const width = records[0]?.cells.length ?? 0;
    const even = records.filter((record) => record.cells.length === width).length;
    const score = width < 2 ? 0 : (even / records.length) * 1000 + width;
    if (score > best.score) best = { delimiter, score };
  }
  return best.delimiter;
}

interface Table {
  header: string[];
  rows: CsvRecord[];
  /** Lines of rows that have more or fewer cells than the header. */
  ragged: number[];
}

function tableOf(bytes: Uint8Array, textUnits: number): Table {
  const text = decodeCsv(bytes, textUnits);
  const [first, ...records] = recordsOf(text, detectDelimiter(text));
  const header = first?.cells.map((cell) => cell.trim()) ?? [];
  const isWhole = (record: CsvRecord): boolean => record.cells.length === header.length;
  return {
    header,
    rows: records.filter(isWhole),
    ragged: records.filter((record) => !isWhole(record)).map((record) => record.line),
  };
}

const oneLine = (cell: string): string => cell.replaceAll('\n', ' ').trim();

/** CSV as one document: a block per row under the header; ragged rows are left out and flagged by line. */
export function parseCsv(bytes: Uint8Array, textUnits: number): Parsed {
  const { header, rows, ragged } = tableOf(bytes, textUnits);
  const headerLine = header.join(' | ');
  const blocks = rows.map(({ cells }, index): ParsedBlock => ({
    kind: 'row',
    row: index + 1,
    header: headerLine,
    text: cells.map(oneLine).join(' | '),
  }));
  if (ragged.length === 0) return { blocks };
  const lines = ragged.slice(0, MAX_LINES_NAMED).join(', ');
  return { flags: [{ flag: 'ragged_rows', evidence: { rows: ragged.length, lines } }], blocks };
}

/**
 * Splits a CSV into a document per row, so that one edited row is one changed document.
 * @throws ParseRefusal parse_failed where it is no CSV or has no such column; parse_limit above `textUnits`
 */
export function splitRows(bytes: Uint8Array, mode: RowMode, textUnits = 8_000_000): SplitRows {
  const { header, rows, ragged } = tableOf(bytes, textUnits);
  const keyAt = header.indexOf(mode.keyColumn);
  const titleAt = mode.titleColumn === undefined ? keyAt : header.indexOf(mode.titleColumn);
  if (keyAt < 0 || titleAt < 0) throw new ParseRefusal('parse_failed', { detail: 'csv_column' });
  const split: SplitRows = {
    rows: [],
    refused: ragged.map((line) => ({ line, detail: 'ragged' as const })),
  };
  const seen = new Set<string>();
  for (const { cells, line } of rows) {
    const key = cells[keyAt]?.trim() ?? '';
    if (key === '' || seen.has(key)) {
      split.refused.push({ line, detail: key === '' ? 'no_key' : 'duplicate_key' });
      continue;
    }
    seen.add(key);
    const lines = cells.flatMap((cell, at) =>
      at === keyAt || cell.trim() === '' ? [] : [`${header[at] ?? ''}: ${cell.trim()}`],
    );
    split.rows.push({ key, title: oneLine(cells[titleAt] ?? key), text: lines.join('\n'), line });
  }
  return split;
}
