import type { ArtifactRef, ArtifactStore } from '../../domain/artifacts.js';
import type { DatasetContract } from '../../domain/datasets/dataset-contract.js';
import { requiredColumns } from '../../domain/datasets/dataset-contract.js';
import { pointerOf } from '../../domain/datasets/pointer.js';
import type { RuleId } from '../../domain/datasets/field-check.js';
import type { TableFormat } from '../../domain/datasets/table-format.js';
import type { FieldError } from '../../domain/errors.js';
import { PlatformError } from '../../domain/errors.js';

/** A file to read rows from: in order, or by range where the format needs it. */
export interface TableSource {
  sizeBytes: number;
  open(): AsyncIterable<Uint8Array>;
  readRange(start: number, end: number): Promise<Uint8Array>;
}

/**
 * A row of a source. `number` counts data rows from 1 (no header, no blank lines). Cells come in contract field
 * order, null where the source has no such column; a row that could not be read has a problem instead.
 */
export type RawRow =
  | { number: number; cells: unknown[] }
  | { number: number; problem: { rule: RuleId; detail: string } };

/** Some rows, and the columns seen so far that the contract does not name. */
export interface TableBatch {
  rows: RawRow[];
  ignoredColumns: readonly string[];
}

/** What a reader has to know. */
export interface TableShape {
  contract: DatasetContract;
  format: TableFormat;
}

/** Rows in a batch. */
export const BATCH_ROWS = 1_000;

/** A stored artifact as a source; sequential reads check its digest. */
export async function artifactSource(store: ArtifactStore, ref: ArtifactRef): Promise<TableSource> {
  const found = await store.stat(ref);
  if (!found)
    throw new PlatformError('ARTIFACT_CORRUPT', 'The source file is missing.', { internal: ref });
  return {
    sizeBytes: found.sizeBytes,
    open: () => store.openStream(ref, { verify: true }),
    readRange: (start, end) => store.readRange(ref, start, end),
  };
}

/** The refusal of a file as a whole, `DATASET_UNREADABLE`. */
export const unreadable = (
  message: string,
  more: { errors?: FieldError[]; extensions?: Record<string, unknown>; internal?: string } = {},
): PlatformError => new PlatformError('DATASET_UNREADABLE', message, more);

/** The refusal of a file that lacks columns the contract requires. */
export const missingColumns = (names: readonly string[]): PlatformError =>
  unreadable(`The file has no column ${names.join(', ')}.`, {
    errors: names.map((name) => ({
      pointer: pointerOf(['columns', name]),
      code: 'missing_column',
      detail: 'is required by the contract',
    })),
  });

/** Where each contract field is among the columns of a source (−1: nowhere), and which columns are left over. */
export interface ColumnMap {
  positions: number[];
  ignoredColumns: string[];
}

/** Maps named columns to contract fields; throws `DATASET_UNREADABLE` on duplicates and missing columns. */
export function mapColumns(contract: DatasetContract, columns: readonly string[]): ColumnMap {
  const names = new Set(contract.fields.map(({ name }) => name));
  const repeated = columns.filter((name, i) => names.has(name) && columns.indexOf(name) !== i);
  if (repeated.length > 0)
    throw unreadable(`The file has column ${repeated.join(', ')} more than once.`, {
      errors: repeated.map((name) => ({
        pointer: pointerOf(['columns', name]),
        code: 'duplicate_column',
      })),
    });
  const missing = requiredColumns(contract).filter((name) => !columns.includes(name));
  if (missing.length > 0) throw missingColumns(missing);
  return {
    positions: contract.fields.map(({ name }) => columns.indexOf(name)),
    ignoredColumns: columns.filter((name) => !names.has(name)),
  };
}
