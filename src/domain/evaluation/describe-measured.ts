import { percentileInterval } from './bootstrap.js';
import type { Comparison, Estimate, FairnessTable } from './evaluation-report.js';
import { fairnessMetrics } from './fairness.js';
import type { FairnessMeasure, FairnessMetric, GroupRates } from './fairness.js';
import { mcnemarExact } from './intervals.js';
import type { MeasuredFairness, MeasuredRows } from './measured-rows.js';
import { rowMetrics } from './metrics.js';
import type { RowMetric } from './metrics.js';
import { roundSignificant } from './round-significant.js';

const REPORT_CONFIDENCE = 0.95;

function estimate(value: number, samples: Float64Array): Estimate {
  const interval = percentileInterval(samples, REPORT_CONFIDENCE);
  const low = interval === null ? null : roundSignificant(interval.low);
  const high = interval === null ? null : roundSignificant(interval.high);
  const rounded = roundSignificant(value);
  return {
    value: rounded,
    interval: rounded === null || low === null || high === null ? null : { low, high },
  };
}

const eachMetric = <T>(make: (metric: RowMetric) => T): Record<RowMetric, T> =>
  Object.fromEntries(rowMetrics.map((metric) => [metric, make(metric)])) as Record<RowMetric, T>;
const eachFairness = <T>(make: (metric: FairnessMetric) => T): Record<FairnessMetric, T> =>
  Object.fromEntries(fairnessMetrics.map((metric) => [metric, make(metric)])) as Record<
    FairnessMetric,
    T
  >;

/** One comparison as the report shows it. */
export function describeComparison(
  measured: MeasuredRows,
  name: string,
  version: string,
): Comparison {
  const reference = measured.references[name];
  const differences = measured.samples.differences[name];
  const { firstOnly = 0, secondOnly = 0, disagreements = 0 } = measured.pairs[name] ?? {};
  return {
    version,
    reference: eachMetric((metric) => roundSignificant(reference?.[metric] ?? NaN)),
    differences: eachMetric((metric) =>
      estimate(
        measured.metrics[metric] - (reference?.[metric] ?? NaN),
        differences?.[metric] ?? new Float64Array(0),
      ),
    ),
    mcnemar: {
      candidateOnly: firstOnly,
      referenceOnly: secondOnly,
      p: roundSignificant(mcnemarExact(firstOnly, secondOnly)),
    },
    disagreements,
  };
}

/** Fairness of one attribute as the report shows it. */
export function describeFairness(fairness: MeasuredFairness): FairnessTable {
  const describe = (measure: FairnessMeasure | undefined): Estimate =>
    estimate(measure?.value ?? NaN, measure?.samples ?? new Float64Array(0));
  const round = (rate: number | null): number | null =>
    rate === null ? null : roundSignificant(rate);
  return {
    attribute: fairness.attribute,
    groups: fairness.groups.map((group): GroupRates => ({
      ...group,
      selectionRate: round(group.selectionRate),
      truePositiveRate: round(group.truePositiveRate),
      falsePositiveRate: round(group.falsePositiveRate),
    })),
    measures: eachFairness((metric) => ({
      ...describe(fairness.measures[metric]),
      insufficientGroups: fairness.measures[metric].insufficientGroups,
    })),
    changes: Object.fromEntries(
      Object.entries(fairness.changes).map(([name, measures]) => [
        name,
        eachFairness((metric) => describe(measures[metric])),
      ]),
    ),
  };
}

/** All metrics of the rows as the report shows them; null throughout if nothing could be measured. */
export function describeMetrics(whole: MeasuredRows | undefined): Record<RowMetric, Estimate> {
  if (whole === undefined) return eachMetric(() => ({ value: null, interval: null }));
  return eachMetric((metric) => estimate(whole.metrics[metric], whole.samples.values[metric]));
}
