import type { DatasetContract } from './dataset-contract.js';
import { compileField, OTHER_CATEGORY, typeDetail } from './field-check.js';
import type { CompiledField, FieldValue, RuleId } from './field-check.js';
import type { Scalar } from './field.js';
import { parseCell, unparseable } from './parse-cell.js';
import type { RawCell } from './parse-cell.js';

/** One broken rule of a row. `field` is empty where the row as a whole is wrong. */
export interface RowViolation {
  field: string;
  rule: RuleId;
  detail?: string | undefined;
}

/** A row in contract field order, or everything that is wrong with it. */
type RowOutcome =
  | {
      ok: true;
      row: FieldValue[];
      /** Broken rules of fields with severity `warn`; such a value is kept, or null if it has no value of its type. */
      warnings: RowViolation[];
      /** Fields whose missing or unknown value was replaced. */
      imputed: string[];
    }
  | { ok: false; violations: RowViolation[] };

export type RowValidator = (cells: readonly RawCell[]) => RowOutcome;

interface Sink {
  violations: RowViolation[];
  warnings: RowViolation[];
  imputed: string[];
}

interface Column extends CompiledField {
  map: ReadonlyMap<string, Scalar> | undefined;
}

function report(sink: Sink, column: Column, broken: Omit<RowViolation, 'field'>): void {
  const { name, severity } = column.field;
  (severity === 'warn' ? sink.warnings : sink.violations).push({ field: name, ...broken });
}

function missing(sink: Sink, { field }: Column): FieldValue {
  if (field.onMissing === 'impute' && field.imputeValue !== undefined) {
    sink.imputed.push(field.name);
    return field.imputeValue;
  }
  if (!field.nullable)
    sink.violations.push({ field: field.name, rule: 'missing', detail: 'must have a value' });
  return null;
}

function unknown(sink: Sink, column: Column, value: FieldValue): FieldValue {
  const { field } = column;
  if (field.onUnknownCategory === 'reject') {
    report(sink, column, { rule: 'enum', detail: 'must be one of the values of the contract' });
    return value;
  }
  sink.imputed.push(field.name);
  return field.onUnknownCategory === 'other' ? OTHER_CATEGORY : (field.imputeValue ?? null);
}

function present(sink: Sink, column: Column, cell: RawCell): FieldValue {
  const { field } = column;
  const mapped =
    column.map && ['string', 'number', 'bigint', 'boolean'].includes(typeof cell)
      ? (column.map.get(String(cell)) ?? cell)
      : cell;
  const value = parseCell(field.type, mapped);
  if (value === unparseable) {
    report(sink, column, { rule: 'type', detail: typeDetail(field.type) });
    return null;
  }
  for (const broken of column.broken(value)) report(sink, column, broken);
  return column.isKnown(value) ? value : unknown(sink, column, value);
}

const isAbsent = (cell: RawCell): boolean =>
  cell === null || cell === undefined || cell === '' || (typeof cell === 'number' && isNaN(cell));

/**
 * Compiles a contract once into a check of rows. Cells come in contract field order. A cell is missing if it is null,
 * empty, NaN (how Parquet writers of data frames spell null) or one of `nullTokens`; after that the label map applies,
 * then the types and limits of the contract. A missing required value always rejects the row.
 */
export function compileRowValidator(
  contract: DatasetContract,
  options: { nullTokens?: readonly string[] | undefined } = {},
): RowValidator {
  const nulls = new Set<RawCell>(options.nullTokens ?? []);
  const columns = contract.fields.map((field): Column => {
    const map = contract.label.field === field.name ? contract.label.map : undefined;
    return { ...compileField(field), map: map && new Map(Object.entries(map)) };
  });
  return (cells) => {
    if (cells.length !== columns.length) {
      const detail = `has ${cells.length} cells, the contract has ${columns.length} fields`;
      return { ok: false, violations: [{ field: '', rule: 'ragged', detail }] };
    }
    const sink: Sink = { violations: [], warnings: [], imputed: [] };
    const row = columns.map((column, i) => {
      const cell = cells[i];
      return isAbsent(cell) || nulls.has(cell)
        ? missing(sink, column)
        : present(sink, column, cell);
    });
    return sink.violations.length > 0
      ? { ok: false, violations: sink.violations }
      : { ok: true, row, warnings: sink.warnings, imputed: sink.imputed };
  };
}
