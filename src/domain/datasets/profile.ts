import { categoryBins, numberBins, quantile } from './bins.js';
import type { FieldBins } from './bins.js';
import type { FieldValue } from './field-check.js';
import type { Field } from './field.js';

/** How often a category occurs. */
interface CategoryCount {
  value: string;
  count: number;
}

/** What one column of a snapshot looks like. Counts are rows. */
interface ColumnProfile {
  field: string;
  type: Field['type'];
  rows: number;
  missing: number;
  /** Distinct values, counted up to 10,000; `distinctCapped` says that there are more. */
  distinct: number;
  distinctCapped: boolean;
  /** Numbers only. `sd` is the population deviation; quantiles by linear interpolation. */
  number?:
    | {
        min: number;
        max: number;
        mean: number;
        sd: number;
        quantiles: Record<'p01' | 'p05' | 'p25' | 'p50' | 'p75' | 'p95' | 'p99', number>;
        /** Rows the quantiles are read from: all, or the first ones in digest order, which is a random sample. */
        quantileRows: number;
      }
    | undefined;
  /** Category and boolean fields: most frequent first, at most 1,000; `categoriesComplete` if these are all. */
  categories?: CategoryCount[] | undefined;
  categoriesComplete?: boolean | undefined;
}

/** The profile of a snapshot: one entry per contract field, in contract order. */
export interface SnapshotProfile {
  rows: number;
  columns: ColumnProfile[];
}

/** A profile and the reference bins made from the same pass. */
export interface ProfiledSnapshot {
  profile: SnapshotProfile;
  bins: FieldBins[];
}

const MAX_DISTINCT = 10_000;
const MAX_CATEGORIES = 1_000;
const MAX_TEXT_BINS = 100;
const SAMPLE_VALUES = 20_000_000;
const SAMPLE_ROWS = 200_000;

interface ColumnProfiler {
  add(value: FieldValue): void;
  finish(rows: number): { column: ColumnProfile; bins: FieldBins | undefined };
}

/** Values kept for quantiles and bins; NaN marks a missing one. Grows by doubling up to its limit. */
function createSample(limit: number) {
  let values = new Float64Array(Math.min(limit, 1024));
  let size = 0;
  return {
    add(value: number): void {
      if (size >= limit) return;
      if (size === values.length) {
        const larger = new Float64Array(Math.min(limit, size * 2));
        larger.set(values);
        values = larger;
      }
      values[size++] = value;
    },
    sorted(): { present: Float64Array; missing: number; rows: number } {
      const present = values
        .subarray(0, size)
        .filter((value) => !Number.isNaN(value))
        .sort();
      return { present, missing: size - present.length, rows: size };
    },
  };
}

function profileNumbers(field: Field, sampleRows: number): ColumnProfiler {
  const sample = createSample(sampleRows);
  const distinct = new Set<number>();
  let count = 0;
  let mean = 0;
  let squares = 0;
  let min = Infinity;
  let max = -Infinity;
  return {
    add(value) {
      const present = typeof value === 'number';
      sample.add(present ? value : NaN);
      if (!present) return;
      if (distinct.size <= MAX_DISTINCT) distinct.add(value);
      count++;
      const delta = value - mean;
      mean += delta / count;
      squares += delta * (value - mean);
      min = Math.min(min, value);
      max = Math.max(max, value);
    },
    finish(rows) {
      const { present, missing, rows: quantileRows } = sample.sorted();
      const column: ColumnProfile = {
        field: field.name,
        type: field.type,
        rows,
        missing: rows - count,
        distinct: Math.min(distinct.size, MAX_DISTINCT),
        distinctCapped: distinct.size > MAX_DISTINCT,
      };
      if (count > 0) {
        const quantiles = {
          p01: quantile(present, 0.01),
          p05: quantile(present, 0.05),
          p25: quantile(present, 0.25),
          p50: quantile(present, 0.5),
          p75: quantile(present, 0.75),
          p95: quantile(present, 0.95),
          p99: quantile(present, 0.99),
        };
        const sd = Math.sqrt(squares / count);
        column.number = { min, max, mean, sd, quantiles, quantileRows };
      }
      return { column, bins: numberBins(field.name, present, missing) };
    },
  };
}

function profileCategories(field: Field): ColumnProfiler {
  const frequencies = new Map<string, number>();
  let count = 0;
  let uncounted = 0;
  return {
    add(value) {
      if (value === null) return;
      count++;
      const key = String(value);
      const before = frequencies.get(key);
      if (before === undefined && frequencies.size >= MAX_DISTINCT) uncounted++;
      else frequencies.set(key, (before ?? 0) + 1);
    },
    finish(rows) {
      const missing = rows - count;
      const isComplete = uncounted === 0 && frequencies.size <= MAX_CATEGORIES;
      const ordered = [...frequencies].sort(
        ([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1),
      );
      const column: ColumnProfile = {
        field: field.name,
        type: field.type,
        rows,
        missing,
        distinct: frequencies.size,
        distinctCapped: uncounted > 0,
        categories: ordered.slice(0, MAX_CATEGORIES).map(([value, n]) => ({ value, count: n })),
        categoriesComplete: isComplete,
      };
      const hasBins = isComplete && (field.type !== 'string' || frequencies.size <= MAX_TEXT_BINS);
      return {
        column,
        bins: hasBins ? categoryBins(field.name, frequencies, missing) : undefined,
      };
    },
  };
}

/** Counts only: what is personal, free text or a list shows no values in a profile. */
function profileOpaque(field: Field): ColumnProfiler {
  const distinct = new Set<FieldValue>();
  let missing = 0;
  return {
    add(value) {
      if (value === null) missing++;
      else if (distinct.size <= MAX_DISTINCT)
        distinct.add(typeof value === 'object' ? JSON.stringify(value) : value);
    },
    finish: (rows) => ({
      column: {
        field: field.name,
        type: field.type,
        rows,
        missing,
        distinct: Math.min(distinct.size, MAX_DISTINCT),
        distinctCapped: distinct.size > MAX_DISTINCT,
      },
      bins: undefined,
    }),
  };
}

function profilerOf(field: Field, sampleRows: number): ColumnProfiler {
  if (field.personal === 'identifier') return profileOpaque(field);
  switch (field.type) {
    case 'number':
    case 'integer':
      return profileNumbers(field, sampleRows);
    case 'categorical':
    case 'boolean':
    case 'string':
      return profileCategories(field);
    case 'text':
    case 'vector':
    case 'tensor':
    case 'timestamp':
      return profileOpaque(field);
  }
}

/**
 * Profiles rows as they stream by, in one pass and bounded memory. Count, missing, minimum, maximum, mean and
 * deviation (Welford 1962) cover all rows. Quantiles and bins read the first 200,000 rows (fewer above 100 number
 * fields): feed rows in digest order, where a prefix is a random sample and equal snapshots give equal profiles.
 * @param hidden fields shown by counts only, besides those marked `personal: identifier`
 */
export function createProfiler(fields: readonly Field[], hidden: ReadonlySet<string> = new Set()) {
  const numbers = fields.filter(({ type }) => type === 'number' || type === 'integer').length;
  const sampleRows = Math.min(SAMPLE_ROWS, Math.floor(SAMPLE_VALUES / Math.max(1, numbers)));
  const columns = fields.map((field) =>
    hidden.has(field.name) ? profileOpaque(field) : profilerOf(field, sampleRows),
  );
  let rows = 0;
  return {
    add(row: readonly FieldValue[]): void {
      rows++;
      for (const [i, column] of columns.entries()) column.add(row[i] ?? null);
    },
    finish(): ProfiledSnapshot {
      const finished = columns.map((column) => column.finish(rows));
      return {
        profile: { rows, columns: finished.map(({ column }) => column) },
        bins: finished.flatMap(({ bins }) => (bins ? [bins] : [])),
      };
    },
  };
}
