import { bootstrapMetrics } from './bootstrap.js';
import type { BootstrapMetrics } from './bootstrap.js';
import { compareFairness, measureFairness } from './fairness.js';
import type { Fairness, FairnessMeasure, FairnessMetric, GroupMinimum } from './fairness.js';
import { countPairs, decide, measureRows } from './metrics.js';
import type { MetricOptions, Metrics, PairedCorrectness } from './metrics.js';
import { intersectGroups } from './protected-column.js';
import type { ProtectedColumn } from './protected-column.js';

/** Rows to measure, one entry a row in every array. */
export interface RowsToMeasure {
  probabilities: Float64Array;
  labels: Uint8Array;
  /** Probabilities of other versions on the same rows, by role. */
  references: Record<string, Float64Array>;
  columns: readonly ProtectedColumn[];
  /** Attribute names of each declared intersection. */
  intersections: readonly (readonly string[])[];
}

/** How rows are measured. */
export interface Measuring {
  seed: number;
  resamples: number;
  groupMinimum: GroupMinimum;
  options: MetricOptions;
}

/** Fairness of one attribute with its change against each reference. */
export interface MeasuredFairness extends Fairness {
  changes: Record<string, Record<FairnessMetric, FairnessMeasure>>;
}

/** Everything measured on one set of rows, with the bootstrap values that intervals are cut from. */
export interface MeasuredRows {
  n: number;
  positives: number;
  negatives: number;
  metrics: Metrics;
  references: Record<string, Metrics>;
  pairs: Record<string, PairedCorrectness>;
  samples: BootstrapMetrics;
  fairness: MeasuredFairness[];
}

/** True if every value is a probability. */
export const areProbabilities = (values: Float64Array): boolean =>
  values.every((value) => value >= 0 && value <= 1);

/** The rows at the given positions. */
function pick<T extends Float64Array | Uint8Array | Uint16Array>(values: T, rows: Uint32Array): T {
  const picked = new (values.constructor as new (length: number) => T)(rows.length);
  for (let at = 0; at < rows.length; at++) picked[at] = values[rows[at] as number] as number;
  return picked;
}

/**
 * The rows that have the named group for every named attribute. Undefined if an attribute or a group is unknown: that
 * is a mistake of the policy, not an empty slice.
 */
export function sliceRows(
  rows: RowsToMeasure,
  slice: Readonly<Record<string, string>>,
): RowsToMeasure | undefined {
  const wanted: { codes: Uint16Array; code: number }[] = [];
  for (const [attribute, group] of Object.entries(slice)) {
    const column = rows.columns.find((candidate) => candidate.attribute === attribute);
    const code = column?.groups.indexOf(group) ?? -1;
    if (column === undefined || code < 0) return undefined;
    wanted.push({ codes: column.codes, code });
  }
  const inside = Uint32Array.from({ length: rows.labels.length }, (_, row) => row).filter((row) =>
    wanted.every(({ codes, code }) => codes[row] === code),
  );
  return {
    ...rows,
    probabilities: pick(rows.probabilities, inside),
    labels: pick(rows.labels, inside),
    references: Object.fromEntries(
      Object.entries(rows.references).map(([name, values]) => [name, pick(values, inside)]),
    ),
    columns: rows.columns.map((column) => ({ ...column, codes: pick(column.codes, inside) })),
  };
}

/** The declared attributes and then the declared intersections. */
function allColumns({ columns, intersections }: RowsToMeasure): ProtectedColumn[] {
  const joint = intersections.map((names) =>
    intersectGroups(columns.filter(({ attribute }) => names.includes(attribute))),
  );
  return [...columns, ...joint];
}

function measureColumn(
  rows: RowsToMeasure & { column: ProtectedColumn },
  measuring: Measuring,
  stream: string,
): MeasuredFairness {
  const threshold = measuring.options.decisionThreshold;
  const shared = {
    column: rows.column,
    labels: rows.labels,
    selected: decide(rows.probabilities, threshold),
    minimum: measuring.groupMinimum,
  };
  const draw = (purpose: string) => ({
    seed: measuring.seed,
    resamples: measuring.resamples,
    stream: `${stream}/${purpose}/${rows.column.attribute}`,
  });
  const changes = Object.entries(rows.references).map(([name, probabilities]) => [
    name,
    compareFairness(
      { ...shared, referenceSelected: decide(probabilities, threshold) },
      draw(`fairness-vs-${name}`),
    ),
  ]);
  return {
    ...measureFairness(shared, draw('fairness')),
    changes: Object.fromEntries(changes) as MeasuredFairness['changes'],
  };
}

/**
 * Measures all metrics, comparisons and fairness of the rows. At least one row.
 * @param stream names this set of rows, so that each slice has its own random numbers
 */
export function measureAll(
  rows: RowsToMeasure,
  measuring: Measuring,
  stream: string,
): MeasuredRows {
  const { labels, references } = rows;
  const threshold = measuring.options.decisionThreshold;
  const positives = labels.reduce((sum, label) => sum + label, 0);
  const decisions = decide(rows.probabilities, threshold);
  const byReference = <T>(measure: (probabilities: Float64Array) => T): Record<string, T> =>
    Object.fromEntries(
      Object.entries(references).map(([name, probabilities]) => [name, measure(probabilities)]),
    );
  return {
    n: labels.length,
    positives,
    negatives: labels.length - positives,
    metrics: measureRows(rows, measuring.options),
    references: byReference((probabilities) =>
      measureRows({ probabilities, labels }, measuring.options),
    ),
    pairs: byReference((probabilities) =>
      countPairs(decisions, decide(probabilities, threshold), labels),
    ),
    samples: bootstrapMetrics(
      { probabilities: rows.probabilities, labels, references, options: measuring.options },
      { seed: measuring.seed, resamples: measuring.resamples, stream: `${stream}/metrics` },
    ),
    fairness: allColumns(rows).map((column) =>
      measureColumn({ ...rows, column }, measuring, stream),
    ),
  };
}
