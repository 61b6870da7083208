import { measureFairness } from '../../src/domain/evaluation/fairness.js';
import { createRandom } from '../../src/domain/evaluation/random.js';
import { drawRows, judgeParity, SMALL } from './drawn-rows.js';

/** Verdicts of 2,000 pairs of groups of n rows selected at .3 and at `rate`, in percent. */
function simulate(n: number, rate: number): { PASS: number; FAIL: number; INCONCLUSIVE: number } {
  const RUNS = 2_000;
  const counts = { PASS: 0, FAIL: 0, INCONCLUSIVE: 0 };
  const random = createRandom(n, `two groups .3 against ${rate}`);
  for (let run = 0; run < RUNS; run++) {
    const rows = drawRows(random, [
      { name: 'a', n, rate: 0.3 },
      { name: 'b', n, rate },
    ]);
    const verdict = judgeParity(rows, run);
    if (verdict === 'PASS' || verdict === 'FAIL' || verdict === 'INCONCLUSIVE') counts[verdict]++;
  }
  const percent = (count: number) => (100 * count) / RUNS;
  return {
    PASS: percent(counts.PASS),
    FAIL: percent(counts.FAIL),
    INCONCLUSIVE: percent(counts.INCONCLUSIVE),
  };
}

describe('fairness verdicts of two groups, 2,000 runs each', () => {
  it.each([
    [200, 9],
    [500, 87],
    [1_000, 100],
    [5_000, 100],
  ])(
    'equal rates, %d rows a group: PASS in %d %% (± 4 points), FAIL in at most 0.1 %%',
    (n, pass) => {
      const measured = simulate(n, 0.3);
      expect(Math.abs(measured.PASS - pass)).toBeLessThanOrEqual(4);
      expect(measured.FAIL).toBeLessThanOrEqual(0.1);
      expect(measured.PASS + measured.FAIL + measured.INCONCLUSIVE).toBeCloseTo(100, 9);
    },
  );

  it.each([200, 500, 1_000, 5_000])(
    'exactly on the bound, %d rows a group: FAIL in at most 4 %%',
    (n) => {
      const { FAIL } = simulate(n, 0.4);
      expect(FAIL).toBeLessThanOrEqual(4);
      expect(FAIL).toBeGreaterThan(0);
    },
  );

  it.each([
    [200, 58],
    [500, 91],
    [1_000, 100],
    [5_000, 100],
  ])('rates .3 and .5, %d rows a group: FAIL in %d %% (± 4 points)', (n, fail) => {
    expect(Math.abs(simulate(n, 0.5).FAIL - fail)).toBeLessThanOrEqual(4);
  });
});

describe('why a group needs 200 rows, 10,000 runs each', () => {
  it.each([
    [30, 44],
    [50, 31],
    [100, 15],
    [200, 5],
    [500, 0.3],
  ])(
    'equal rates of .3, %d rows against 10,000: a ratio below .8 by chance in %d %% (± 2 points)',
    (n, percent) => {
      const random = createRandom(n, 'why 200');
      let below = 0;
      for (let run = 0; run < 10_000; run++) {
        const rows = drawRows(random, [
          { name: 'small', n, rate: 0.3 },
          { name: 'large', n: 10_000, rate: 0.3, byCount: true },
        ]);
        const { measures } = measureFairness(
          { ...rows, minimum: SMALL },
          { seed: run, resamples: 1 },
        );
        if (measures.demographic_parity_ratio.value < 0.8) below++;
      }
      expect(Math.abs(below / 100 - percent)).toBeLessThanOrEqual(2);
    },
  );
});
