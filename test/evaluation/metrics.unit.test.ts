import fc from 'fast-check';
import {
  countPairs,
  decide,
  LOG_LOSS_CLIP,
  measureRows,
  prepareMetrics,
} from '../../src/domain/evaluation/metrics.js';
import type { Scores } from '../../src/domain/evaluation/metrics.js';

interface Row {
  p: number;
  y: number;
  weight: number;
}
/** A coarse grid makes ties, bin edges and the threshold itself frequent. */
const row: fc.Arbitrary<Row> = fc.record({
  p: fc.oneof(
    fc.integer({ min: 0, max: 10 }).map((tenth) => tenth / 10),
    fc.double({ min: 0, max: 1, noNaN: true }),
  ),
  y: fc.integer({ min: 0, max: 1 }),
  weight: fc.integer({ min: 0, max: 3 }),
});
const rows = fc.array(row, { minLength: 1, maxLength: 40 });

const scoresOf = (list: readonly Pick<Row, 'p' | 'y'>[]): Scores => ({
  probabilities: Float64Array.from(list, ({ p }) => p),
  labels: Uint8Array.from(list, ({ y }) => y),
});
/** Equal to so many digits, or undefined both. */
function expectClose(value: number, expected: number, digits = 12): void {
  if (Number.isNaN(expected)) expect(value).toBeNaN();
  else expect(value).toBeCloseTo(expected, digits);
}
const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Every pair of a positive and a negative, ties one half: the definition, in quadratic time. */
function aucByPairs(list: readonly Row[]): number {
  const wins = list
    .filter(({ y }) => y === 1)
    .flatMap((a) =>
      list.filter(({ y }) => y === 0).map((b) => (a.p > b.p ? 1 : a.p === b.p ? 0.5 : 0)),
    );
  return mean(wins);
}
function eceByBins(list: readonly Row[]): number {
  let total = 0;
  for (let bin = 0; bin < 10; bin++) {
    const inside = list.filter(({ p }) => Math.min(9, Math.floor(p * 10)) === bin);
    if (inside.length > 0)
      total +=
        inside.length * Math.abs(mean(inside.map(({ y }) => y)) - mean(inside.map(({ p }) => p)));
  }
  return total / list.length;
}

describe('metrics of scored rows', () => {
  it('equal their definitions on any rows, ties and edges included', () => {
    fc.assert(
      fc.property(rows, (list) => {
        const measured = measureRows(scoresOf(list));
        const right = list.map(({ p, y }) => (p >= 0.5 ? y : 1 - y));
        const positives = list.filter(({ y }) => y === 1);
        const chosen = list.filter(({ p }) => p >= 0.5);
        const hits = chosen.filter(({ y }) => y === 1).length;
        const clip = (p: number) => Math.min(1 - LOG_LOSS_CLIP, Math.max(LOG_LOSS_CLIP, p));
        expectClose(measured.accuracy, mean(right), 12);
        expectClose(measured.error, 1 - mean(right), 12);
        const share = positives.length / list.length;
        expectClose(measured.accuracy_over_majority, mean(right) - Math.max(share, 1 - share), 12);
        expectClose(measured.auc, aucByPairs(list), 12);
        expectClose(measured.brier, mean(list.map(({ p, y }) => (p - y) ** 2)), 12);
        expectClose(measured.ece, eceByBins(list), 12);
        const losses = list.map(({ p, y }) => -Math.log(y === 1 ? clip(p) : 1 - clip(p)));
        expectClose(measured.log_loss, mean(losses), 9);
        expectClose(measured.precision, hits / chosen.length, 12);
        expectClose(measured.recall, hits / positives.length, 12);
        expectClose(measured.f1, (2 * hits) / (chosen.length + positives.length), 12);
        expectClose(measured.expected_cost, measured.error, 12);
      }),
    );
  });

  it('under integer weights equal the rows written out that often', () => {
    fc.assert(
      fc.property(rows, (list) => {
        const weights = Uint32Array.from(list, ({ weight }) => weight);
        const written = list.flatMap((one) => Array.from({ length: one.weight }, () => one));
        const weighted = prepareMetrics(scoresOf(list))(weights);
        const plain = measureRows(scoresOf(written));
        for (const [metric, value] of Object.entries(plain))
          expectClose(weighted[metric as keyof typeof weighted], value, 10);
      }),
    );
  });

  it('do not depend on the order of the rows', () => {
    const list = Array.from({ length: 200 }, (_, i) => ({
      p: ((i * 37) % 50) / 50,
      y: (i * 7) % 3 === 0 ? 1 : 0,
    }));
    const forward = measureRows(scoresOf(list));
    const backward = measureRows(scoresOf([...list].reverse()));
    for (const [metric, value] of Object.entries(forward))
      expectClose(backward[metric as keyof typeof backward], value, 12);
  });

  it('are undefined, not zero, where the definition has no value', () => {
    const oneClass = measureRows(
      scoresOf([
        { p: 0.2, y: 0 },
        { p: 0.3, y: 0 },
      ]),
    );
    expect(oneClass.auc).toBeNaN();
    expect(oneClass.recall).toBeNaN();
    expect(oneClass.precision).toBeNaN();
    expect(oneClass.f1).toBeNaN();
    expect(oneClass.accuracy).toBe(1);
    expect(measureRows(scoresOf([])).accuracy).toBeNaN();
  });

  it('use the decision threshold and the cost matrix they are given', () => {
    const list = [
      { p: 0.9, y: 1 },
      { p: 0.8, y: 0 },
      { p: 0.7, y: 1 },
      { p: 0.1, y: 0 },
    ];
    const costs = { truePositive: 0, falsePositive: 5, trueNegative: 0, falseNegative: 1 };
    expect(measureRows(scoresOf(list), { costs }).expected_cost).toBe(5 / 4);
    expect(measureRows(scoresOf(list), { costs, decisionThreshold: 5 / 6 }).expected_cost).toBe(
      1 / 4,
    );
    expect([...decide(Float64Array.of(0.5, 0.49999, 1))]).toEqual([1, 0, 1]);
  });

  it('clip a certain mistake to a finite log-loss', () => {
    expect(measureRows(scoresOf([{ p: 0, y: 1 }])).log_loss).toBeCloseTo(-Math.log(1e-15), 6);
  });
});

describe('paired correctness', () => {
  it('counts who was right, and a disagreement for every discordant pair', () => {
    const pairs = countPairs(
      Uint8Array.of(1, 1, 0, 0, 1),
      Uint8Array.of(1, 0, 1, 0, 0),
      Uint8Array.of(1, 1, 1, 1, 0),
    );
    expect(pairs).toEqual({ n: 5, bothRight: 1, firstOnly: 1, secondOnly: 2, disagreements: 3 });
  });
});
