import type { ModelField } from './trained-model.js';
import type { TrainingTable } from './training-table.js';

/** A field as the tree trainer sees it: each row's bin, and what lies between two bins. */
export interface BinnedField {
  field: ModelField;
  /** Bin of each row. For a category field the bin is the category's code. */
  bins: Uint16Array;
  binCount: number;
  /** Numeric fields: rows in bins ≤ k are exactly the rows with x ≤ thresholds[k]. Empty for category fields. */
  thresholds: Float64Array;
}

function distinctSorted(values: Float64Array): Float64Array {
  const sorted = values.slice().sort();
  let count = 0;
  for (const value of sorted) {
    if (count > 0 && sorted[count - 1] === value) continue;
    sorted[count++] = value;
  }
  return sorted.subarray(0, count);
}

/**
 * Cuts above the quantiles k/B of the distinct values, B bins (not of the rows: a field that is mostly zero would keep
 * few bins); the quantile is the inverse of the empirical distribution (Hyndman & Fan, 1996, type 1). A cut is the float32 midpoint of its neighbours, or the left one where rounding reaches the right one, so that a
 * runtime that holds thresholds in float32 routes every row as training did.
 */
export function cutThresholds(values: Float64Array, binLimit: number): Float64Array {
  const distinct = distinctSorted(values);
  const binCount = Math.min(binLimit, distinct.length);
  const thresholds = new Float64Array(Math.max(0, binCount - 1));
  for (let k = 1; k < binCount; k++) {
    const at = Math.ceil((k * distinct.length) / binCount);
    const left = distinct[at - 1] ?? 0;
    const right = distinct[at] ?? 0;
    const middle = Math.fround((left + right) / 2);
    thresholds[k - 1] = middle >= right ? left : middle;
  }
  return thresholds;
}

function binOf(thresholds: Float64Array, x: number): number {
  let low = 0;
  let high = thresholds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x <= (thresholds[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Bins every field of a training table; numbers are rounded to float32 first, as the served model reads them. */
export function binColumns(table: TrainingTable, binLimit: number): BinnedField[] {
  const numeric = table.numeric.map(({ name, type, values }): BinnedField => {
    const rounded = values.map(Math.fround);
    const thresholds = cutThresholds(rounded, binLimit);
    return {
      field: { kind: 'numeric', name, type, input: 'float' },
      bins: Uint16Array.from(rounded, (x) => binOf(thresholds, x)),
      binCount: thresholds.length + 1,
      thresholds,
    };
  });
  const categorical = table.categorical.map(({ name, type, categories, codes }): BinnedField => ({
    field: { kind: 'categorical', name, type, categories },
    bins: Uint16Array.from(codes),
    binCount: categories.length,
    thresholds: new Float64Array(),
  }));
  return [...numeric, ...categorical];
}
