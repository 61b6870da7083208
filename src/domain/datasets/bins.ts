import type { FieldValue } from './field-check.js';

/**
 * Reference bins of a number field. Bin order in `counts`: one per point (a value holding ≥ 10 % of the rows), the
 * intervals (−∞, e₁), [e₁, e₂), …, [eₖ, ∞) of all other values, missing.
 */
export interface NumberBins {
  field: string;
  kind: 'number';
  points: number[];
  edges: number[];
  counts: number[];
}

/** Reference bins of a category field. Bin order in `counts`: categories, unseen, missing. */
export interface CategoryBins {
  field: string;
  kind: 'category';
  categories: string[];
  counts: number[];
}

/** Bins fixed on the reference rows of one field; they are stored with the version and never change. */
export type FieldBins = NumberBins | CategoryBins;

/** Share of rows from which a value is a bin of its own. */
const POINT_SHARE = 0.1;

/**
 * Quantile of ascending values by linear interpolation (Hyndman and Fan 1996, type 7).
 * @param at 0–1
 * @returns NaN for no values
 */
export function quantile(sorted: ArrayLike<number>, at: number): number {
  const position = (sorted.length - 1) * at;
  const below = Math.floor(position);
  const low = sorted[below];
  const high = sorted[Math.min(below + 1, sorted.length - 1)];
  if (low === undefined || high === undefined) return NaN;
  return low + (high - low) * (position - below);
}

function pointsOf(sorted: ArrayLike<number>, rows: number): number[] {
  const points: number[] = [];
  let from = 0;
  for (let i = 1; i <= sorted.length; i++) {
    const value = sorted[from];
    if (i < sorted.length && sorted[i] === value) continue;
    if (value !== undefined && i - from >= POINT_SHARE * rows) points.push(value);
    from = i;
  }
  return points;
}

/**
 * Fixes the bins of a number field: a value with ≥ 10 % of the rows is its own point bin, the rest is cut into
 * k = max(2, round(10 · rest share)) bins at its quantiles by linear interpolation, equal edges merged.
 * @param sorted the present values, ascending
 * @param missing rows without a value; they count towards the shares
 */
export function numberBins(field: string, sorted: Float64Array, missing: number): NumberBins {
  const rows = sorted.length + missing;
  const points = pointsOf(sorted, rows);
  const known = new Set(points);
  const rest = sorted.filter((value) => !known.has(value));
  const edges: number[] = [];
  const k = Math.max(2, Math.round((10 * rest.length) / Math.max(1, rows)));
  for (let j = 1; rest.length > 0 && j < k; j++) {
    const edge = quantile(rest, j / k);
    if (edge !== edges.at(-1)) edges.push(edge);
  }
  const bins: NumberBins = {
    field,
    kind: 'number',
    points,
    edges,
    counts: new Array<number>(points.length + edges.length + 2).fill(0),
  };
  const add = (at: number, count: number) => (bins.counts[at] = (bins.counts[at] ?? 0) + count);
  for (const value of sorted) add(binIndex(bins, value), 1);
  add(bins.counts.length - 1, missing);
  return bins;
}

/** Fixes the bins of a category field from how often each category occurs. */
export function categoryBins(
  field: string,
  frequencies: ReadonlyMap<string, number>,
  missing: number,
): CategoryBins {
  const categories = [...frequencies.keys()].sort();
  const counts = [...categories.map((category) => frequencies.get(category) ?? 0), 0, missing];
  return { field, kind: 'category', categories, counts };
}

/** The bin that a value falls into: an index into `counts`. A value of another type counts as missing. */
export function binIndex(bins: FieldBins, value: FieldValue): number {
  const missing = bins.counts.length - 1;
  if (value === null) return missing;
  if (bins.kind === 'category') {
    const at = bins.categories.indexOf(String(value));
    return at < 0 ? bins.categories.length : at;
  }
  if (typeof value !== 'number' || Number.isNaN(value)) return missing;
  const point = bins.points.indexOf(value);
  if (point >= 0) return point;
  let interval = 0;
  while (interval < bins.edges.length && value >= (bins.edges[interval] ?? Infinity)) interval++;
  return bins.points.length + interval;
}

/** How many values of a window fall into each reference bin. */
export function countInBins(bins: FieldBins, values: Iterable<FieldValue>): number[] {
  const counts = new Array<number>(bins.counts.length).fill(0);
  for (const value of values) {
    const at = binIndex(bins, value);
    counts[at] = (counts[at] ?? 0) + 1;
  }
  return counts;
}
