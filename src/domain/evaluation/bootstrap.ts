import { createBinomialFamily, createBinomialSampler } from './binomial-sampler.js';
import type { Interval } from './intervals.js';
import { prepareMetrics, rowMetrics } from './metrics.js';
import type { MetricOptions, RowMetric, Scores } from './metrics.js';
import { createRandom } from './random.js';
import type { Random } from './random.js';

/** How a bootstrap is drawn. */
export interface Resampling {
  /** Integer, 0 ≤ seed < 2^53. */
  seed: number;
  /** Names the stream of this bootstrap, so that two of one seed are independent. */
  stream?: string;
  /** Number of resamples; 1,000 by default. */
  resamples?: number;
}

/** Resamples where nothing else is said. */
export const DEFAULT_RESAMPLES = 1_000;
/** Share of resamples in which a metric may be undefined before its interval is refused. */
const MAX_UNDEFINED_SHARE = 0.05;

/**
 * Percentile interval of bootstrap values (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, §13.3), ends
 * by linear interpolation between order statistics (type 7 of Hyndman and Fan, 1996).
 * @param confidence in (0, 1)
 * @returns null if more than 5 % of the values are undefined (NaN), or there are none
 */
export function percentileInterval(values: Float64Array, confidence = 0.95): Interval | null {
  // NaN alone differs from itself.
  const defined = values.filter((value) => value === value).sort();
  if (defined.length === 0 || defined.length < values.length * (1 - MAX_UNDEFINED_SHARE))
    return null;
  const quantile = (share: number): number => {
    const position = share * (defined.length - 1);
    const below = defined[Math.floor(position)] ?? NaN;
    const above = defined[Math.ceil(position)] ?? NaN;
    return below + (above - below) * (position - Math.floor(position));
  };
  const tail = (1 - confidence) / 2;
  return { low: quantile(tail), high: quantile(1 - tail) };
}

/** Overwrites the weights with one resample of all rows with replacement: the weight of a row is how often it came. */
function drawWeights(random: Random, weights: Uint32Array): void {
  const n = weights.length;
  weights.fill(0);
  for (let draw = 0; draw < n; draw++) {
    const row = random.below(n);
    weights[row] = (weights[row] as number) + 1;
  }
}

/**
 * Bootstrap values of any statistic of weighted rows. A paired bootstrap is the same call with a statistic that
 * takes both models under the same weights.
 * @param rows number of rows, ≥ 1
 * @param statistic value under integer row weights; NaN where it is undefined. The array is reused between calls
 */
export function bootstrap(
  rows: number,
  statistic: (weights: Uint32Array) => number,
  resampling: Resampling,
): Float64Array {
  const random = createRandom(resampling.seed, resampling.stream);
  const values = new Float64Array(resampling.resamples ?? DEFAULT_RESAMPLES);
  const weights = new Uint32Array(rows);
  for (let resample = 0; resample < values.length; resample++) {
    drawWeights(random, weights);
    values[resample] = statistic(weights);
  }
  return values;
}

/** Bootstrap values of every metric. */
type MetricSamples = Record<RowMetric, Float64Array>;

const emptySamples = (resamples: number): MetricSamples =>
  Object.fromEntries(
    rowMetrics.map((metric) => [metric, new Float64Array(resamples)]),
  ) as MetricSamples;

/** What {@link bootstrapMetrics} resamples. */
export interface BootstrapRows extends Scores {
  /** Probabilities of other models on the same rows, by a name of the caller's choice. */
  references?: Record<string, Float64Array>;
  options?: MetricOptions;
}

/** Values of all metrics, and of their differences (the rows' own model minus the reference) by reference. */
export interface BootstrapMetrics {
  values: MetricSamples;
  differences: Record<string, MetricSamples>;
}

/**
 * One bootstrap for all metrics and all paired differences: each resample of the rows is drawn once and every model is
 * measured on it. Time is resamples × rows × (1 + models) steps of a few nanoseconds.
 */
export function bootstrapMetrics(rows: BootstrapRows, resampling: Resampling): BootstrapMetrics {
  const resamples = resampling.resamples ?? DEFAULT_RESAMPLES;
  const own = prepareMetrics(rows, rows.options);
  const others = Object.entries(rows.references ?? {}).map(([name, probabilities]) => ({
    name,
    measure: prepareMetrics({ probabilities, labels: rows.labels }, rows.options),
    differences: emptySamples(resamples),
  }));
  const values = emptySamples(resamples);
  const random = createRandom(resampling.seed, resampling.stream);
  const weights = new Uint32Array(rows.labels.length);
  for (let resample = 0; resample < resamples; resample++) {
    drawWeights(random, weights);
    const measured = own(weights);
    for (const metric of rowMetrics) values[metric][resample] = measured[metric];
    for (const other of others) {
      const reference = other.measure(weights);
      for (const metric of rowMetrics)
        other.differences[metric][resample] = measured[metric] - reference[metric];
    }
  }
  return {
    values,
    differences: Object.fromEntries(others.map(({ name, differences }) => [name, differences])),
  };
}

/** Labelled pairs of two models, counted. */
export interface DiscordantPairs {
  /** All labelled pairs, ≥ 1. */
  n: number;
  /** Pairs that only the first model got right. */
  firstOnly: number;
  /** Pairs that only the second model got right. */
  secondOnly: number;
}

/**
 * Paired bootstrap of the difference of two accuracies, first minus second, from counts alone. A resample of n pairs
 * with replacement has multinomial counts of (first only, second only, both or neither); they are drawn as two
 * conditional binomials, which is the same distribution exactly, at a cost that does not grow with n.
 */
export function bootstrapAccuracyDifference(
  pairs: DiscordantPairs,
  resampling: Resampling,
): Float64Array {
  const { n, firstOnly, secondOnly } = pairs;
  const random = createRandom(resampling.seed, resampling.stream);
  const first = createBinomialSampler(n, firstOnly / n);
  const second = createBinomialFamily(firstOnly === n ? 0 : secondOnly / (n - firstOnly));
  const values = new Float64Array(resampling.resamples ?? DEFAULT_RESAMPLES);
  for (let resample = 0; resample < values.length; resample++) {
    const drawn = first(random);
    values[resample] = (drawn - second(n - drawn, random)) / n;
  }
  return values;
}
