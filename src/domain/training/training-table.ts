import type { FieldError } from '../errors.js';

/** Types of contract fields that a trainer can take as input. */
export type FeatureType = 'number' | 'integer' | 'timestamp' | 'boolean' | 'string' | 'categorical';

/** One input field of a model, in the contract's order. */
export interface FeatureField {
  name: string;
  type: FeatureType;
}

/** A value of a raw field as it stands in a snapshot row or an inference. */
export type RawValue = string | number | boolean | null;
/** A row by field name; other fields than the model's may be present and are ignored. */
export type RawRow = Readonly<Record<string, RawValue | undefined>>;

/** Field types that enter a model as a number; all others enter as a category. */
const isNumericType = (type: FeatureType): boolean =>
  type === 'number' || type === 'integer' || type === 'timestamp';

/**
 * The number a raw value stands for: itself, the milliseconds since the epoch of an ISO 8601 string where the field
 * is a timestamp, or NaN where there is none (null, absent, other types).
 */
export function numericValue(value: RawValue | undefined, type: FeatureType): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'string' && type === 'timestamp') return Date.parse(value);
  return Number.NaN;
}

/** The category a raw value stands for: its text; a missing value is the empty category `''`. */
export const categoryOf = (value: RawValue | undefined): string =>
  value === null || value === undefined ? '' : String(value);

/** A numeric column: `rowCount` finite numbers, as they came (trainers round to float32 where they compare). */
export interface NumericColumn {
  name: string;
  type: FeatureType;
  values: Float64Array;
}

/** A category column: codes index `categories` (sorted by code unit, no repeats); −1 is a category never trained on. */
interface CategoricalColumn {
  name: string;
  type: FeatureType;
  categories: readonly string[];
  codes: Int32Array;
}

/** Column-oriented training data; `labels` holds 1 for the positive class, else 0. */
export interface TrainingTable {
  rowCount: number;
  numeric: readonly NumericColumn[];
  categorical: readonly CategoricalColumn[];
  labels: Uint8Array;
}

/** Most categories of one field; more of them point to an identifier, which a model must not learn. */
export const MAX_CATEGORIES = 1_000;

type TableOutcome =
  | { ok: true; table: TrainingTable }
  | { ok: false; code: 'TRAINER_INPUT_REFUSED'; errors: FieldError[] };

/** Collects rows one by one, so that a snapshot is never held twice. */
export interface TableBuilder {
  /** Adds a row; `positive` says whether its label is the positive class. */
  add(row: RawRow, positive: boolean): void;
  /**
   * The table, or `TRAINER_INPUT_REFUSED` naming each field (`/features/{name}`) with `VALUE_MISSING` (a numeric
   * field without a number), `VALUE_OUT_OF_RANGE` (beyond float32) or `TOO_MANY_CATEGORIES`.
   */
  finish(): TableOutcome;
}

interface Collector {
  add(row: RawRow): void;
  error(): FieldError | undefined;
  column(): NumericColumn | CategoricalColumn;
}

const fieldError = (name: string, code: string, detail: string): FieldError => ({
  pointer: `/features/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`,
  code,
  detail,
});

// Shared memory goes to a trainer thread without a copy, and the caller keeps the rows for the parity check.
const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);

function numericCollector({ name, type }: FeatureField): Collector {
  const values: number[] = [];
  let missing = 0;
  let outOfRange = 0;
  return {
    add(row) {
      const value = numericValue(row[name], type);
      if (Number.isNaN(value)) missing++;
      else if (!Number.isFinite(Math.fround(value))) outOfRange++;
      values.push(value);
    },
    error() {
      if (missing > 0) return fieldError(name, 'VALUE_MISSING', `${missing} rows hold no number`);
      if (outOfRange > 0)
        return fieldError(name, 'VALUE_OUT_OF_RANGE', `${outOfRange} rows exceed float32`);
      return undefined;
    },
    column() {
      const array = new Float64Array(shared(values.length * 8));
      array.set(values);
      return { name, type, values: array };
    },
  };
}

function categoricalCollector(
  { name, type }: FeatureField,
  known: readonly string[] | undefined,
): Collector {
  const codeOf = new Map<string, number>();
  const codes: number[] = [];
  return {
    add(row) {
      const category = categoryOf(row[name]);
      let code = codeOf.get(category);
      if (code === undefined) {
        code = codeOf.size;
        codeOf.set(category, code);
      }
      codes.push(code);
    },
    error() {
      if (known !== undefined || codeOf.size <= MAX_CATEGORIES) return undefined;
      return fieldError(
        name,
        'TOO_MANY_CATEGORIES',
        `${codeOf.size} categories; at most ${MAX_CATEGORIES}`,
      );
    },
    column() {
      const seen = [...codeOf.keys()];
      const categories = known ?? [...seen].sort((a, b) => (a < b ? -1 : 1));
      const rank = new Map(categories.map((category, index) => [category, index]));
      const finalCode = Int32Array.from(seen, (category) => rank.get(category) ?? -1);
      const array = new Int32Array(shared(codes.length * 4));
      for (let i = 0; i < codes.length; i++) array[i] = finalCode[codes[i] ?? 0] ?? -1;
      return { name, type, categories, codes: array };
    },
  };
}

/**
 * Starts a table of these fields. With `like`, categories are those of that table, so that held-out rows get the
 * codes of the training rows (a category it does not know becomes −1).
 */
export function createTableBuilder(
  fields: readonly FeatureField[],
  like?: TrainingTable,
): TableBuilder {
  const labels: number[] = [];
  const known = new Map(like?.categorical.map((column) => [column.name, column.categories]));
  const collectors = fields.map((field) =>
    isNumericType(field.type)
      ? numericCollector(field)
      : categoricalCollector(field, known.get(field.name)),
  );
  return {
    add(row, positive) {
      for (const collector of collectors) collector.add(row);
      labels.push(positive ? 1 : 0);
    },
    finish() {
      const errors = collectors.flatMap((collector) => collector.error() ?? []);
      if (errors.length > 0) return { ok: false, code: 'TRAINER_INPUT_REFUSED', errors };
      const columns = collectors.map((collector) => collector.column());
      const array = new Uint8Array(shared(labels.length));
      array.set(labels);
      const table: TrainingTable = {
        rowCount: labels.length,
        numeric: columns.filter((column) => 'values' in column),
        categorical: columns.filter((column) => 'codes' in column),
        labels: array,
      };
      return { ok: true, table };
    },
  };
}
