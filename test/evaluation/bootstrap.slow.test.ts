import {
  bootstrap,
  bootstrapAccuracyDifference,
  bootstrapMetrics,
  percentileInterval,
} from '../../src/domain/evaluation/bootstrap.js';
import { rowMetrics } from '../../src/domain/evaluation/metrics.js';
import type { Scores } from '../../src/domain/evaluation/metrics.js';
import { createRandom } from '../../src/domain/evaluation/random.js';

/** Rows whose labels follow their probabilities. */
function calibratedRows(n: number, seed: number): Scores {
  const random = createRandom(seed, 'rows');
  const probabilities = Float64Array.from({ length: n }, () => random.uniform());
  return {
    probabilities,
    labels: Uint8Array.from(probabilities, (p) => (random.uniform() < p ? 1 : 0)),
  };
}

/** Probabilities of a second model: the first one's, moved by noise. */
function noisy({ probabilities }: Scores, seed: number): Float64Array {
  const random = createRandom(seed, 'noise');
  return probabilities.map((p) => Math.min(1, Math.max(0, p + 0.3 * (random.uniform() - 0.5))));
}

const mean = (values: Float64Array): number => values.reduce((a, b) => a + b, 0) / values.length;
const deviation = (values: Float64Array): number => {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, v) => sum + (v - centre) ** 2, 0) / (values.length - 1));
};

describe('percentile interval', () => {
  it('interpolates between order statistics', () => {
    const values = Float64Array.from({ length: 101 }, (_, i) => 100 - i);
    const ends = percentileInterval(values, 0.9);
    expect(ends?.low).toBeCloseTo(5, 9);
    expect(ends?.high).toBeCloseTo(95, 9);
    const { low, high } = percentileInterval(Float64Array.of(4, 1, 3, 2), 0.5) ?? {
      low: 0,
      high: 0,
    };
    expect([low, high]).toEqual([1.75, 3.25]);
  });

  it('is refused where more than 5 % of the values are undefined, and leaves out fewer', () => {
    const values = Float64Array.from({ length: 100 }, (_, i) => i);
    expect(percentileInterval(values.map((v) => (v < 6 ? NaN : v)))).toBeNull();
    expect(percentileInterval(values.map((v) => (v < 5 ? NaN : 7)))).toEqual({ low: 7, high: 7 });
    expect(percentileInterval(new Float64Array(0))).toBeNull();
  });
});

describe('bootstrap', () => {
  it('repeats number for number under one seed and differs under another', () => {
    const rows = calibratedRows(400, 1);
    const run = (seed: number) => bootstrapMetrics(rows, { seed, resamples: 50 }).values;
    expect(run(1)).toEqual(run(1));
    expect(run(2).auc).not.toEqual(run(1).auc);
  });

  it('draws as many rows as there are, with replacement, each equally often', () => {
    const seen = new Float64Array(50);
    bootstrap(
      50,
      (weights) => {
        weights.forEach((weight, row) => (seen[row] = (seen[row] ?? 0) + weight));
        expect(weights.reduce((a, b) => a + b, 0)).toBe(50);
        return weights[0] ?? 0;
      },
      { seed: 3, resamples: 2_000 },
    );
    const statistic = seen.reduce((sum, count) => sum + (count - 2_000) ** 2 / 2_000, 0);
    expect(statistic).toBeLessThan(85.4);
  });

  it('covers the true accuracy and AUC of calibrated scores in about 95 % of 400 data sets', () => {
    let [accuracy, auc] = [0, 0];
    for (let seed = 0; seed < 400; seed++) {
      const { values } = bootstrapMetrics(calibratedRows(300, seed), { seed, resamples: 400 });
      const [a, b] = [percentileInterval(values.accuracy), percentileInterval(values.auc)];
      // Uniform scores with matching labels: accuracy 3/4, P(score of a positive > score of a negative) = 5/6.
      if (a && a.low <= 0.75 && 0.75 <= a.high) accuracy++;
      if (b && b.low <= 5 / 6 && 5 / 6 <= b.high) auc++;
    }
    for (const covered of [accuracy, auc]) {
      expect(covered / 400).toBeGreaterThanOrEqual(0.92);
      expect(covered / 400).toBeLessThanOrEqual(0.98);
    }
  });

  it('measures both models on the same resample: the difference with itself is 0 in every one', () => {
    const rows = calibratedRows(300, 4);
    const references = { same: rows.probabilities, other: noisy(rows, 4) };
    const { values, differences } = bootstrapMetrics(
      { ...rows, references },
      { seed: 4, resamples: 60 },
    );
    for (const metric of rowMetrics)
      expect(differences['same']?.[metric].every((d) => d === 0)).toBe(true);
    const alone = bootstrapMetrics(
      { probabilities: references.other, labels: rows.labels },
      { seed: 4, resamples: 60 },
    );
    for (const metric of rowMetrics)
      expect(differences['other']?.[metric]).toEqual(
        values[metric].map((v, i) => v - (alone.values[metric][i] ?? 0)),
      );
  });

  it('gives the binomial standard deviation of an accuracy', () => {
    const { values } = bootstrapMetrics(calibratedRows(2_000, 5), { seed: 5, resamples: 2_000 });
    const p = mean(values.accuracy);
    expect(deviation(values.accuracy) / Math.sqrt((p * (1 - p)) / 2_000)).toBeCloseTo(1, 1);
  });

  it('takes seconds for 15,060 rows, 1,000 resamples, all metrics and a paired reference', () => {
    const rows = calibratedRows(15_060, 6);
    const start = performance.now();
    bootstrapMetrics({ ...rows, references: { champion: noisy(rows, 6) } }, { seed: 6 });
    expect(performance.now() - start).toBeLessThan(15_000);
  });
});

describe('paired difference from counts', () => {
  it('has the distribution of resampling the pairs themselves', () => {
    const pairs = { n: 900, firstOnly: 20, secondOnly: 55 };
    const score = Float64Array.from({ length: 900 }, (_, i) => (i < 20 ? 1 : i < 75 ? -1 : 0));
    const byRow = bootstrap(
      900,
      (weights) => score.reduce((sum, s, i) => sum + s * (weights[i] ?? 0), 0) / 900,
      { seed: 8, resamples: 20_000 },
    );
    const byCount = bootstrapAccuracyDifference(pairs, { seed: 9, resamples: 20_000 });
    expect(mean(byCount)).toBeCloseTo(mean(byRow), 3);
    expect(deviation(byCount) / deviation(byRow)).toBeCloseTo(1, 1);
    // Two-sample Kolmogorov-Smirnov on the lattice of possible values, 99.9 % point.
    const tally = (values: Float64Array) => {
      const counts = new Map<number, number>();
      for (const v of values)
        counts.set(Math.round(v * 900), (counts.get(Math.round(v * 900)) ?? 0) + 1);
      return counts;
    };
    const [a, b] = [tally(byRow), tally(byCount)];
    let [cumulative, largest] = [0, 0];
    for (let value = -900; value <= 900; value++) {
      cumulative += (a.get(value) ?? 0) - (b.get(value) ?? 0);
      largest = Math.max(largest, Math.abs(cumulative) / 20_000);
    }
    expect(largest).toBeLessThan(1.95 * Math.sqrt(2 / 20_000));
  });

  it('is certain where all pairs agree or all favour one side', () => {
    const only = (firstOnly: number, secondOnly: number) => [
      ...new Set(bootstrapAccuracyDifference({ n: 40, firstOnly, secondOnly }, { seed: 1 })),
    ];
    expect(only(0, 0)).toEqual([0]);
    expect(only(40, 0)).toEqual([1]);
    expect(only(0, 40)).toEqual([-1]);
  });
});
