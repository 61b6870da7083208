import fc from 'fast-check';
import {
  confidenceSequence,
  mcnemarExact,
  newcombe,
  wilson,
} from '../../src/domain/evaluation/intervals.js';
import { createRandom } from '../../src/domain/evaluation/random.js';

const count = fc
  .integer({ min: 1, max: 5_000 })
  .chain((n) => fc.record({ n: fc.constant(n), successes: fc.integer({ min: 0, max: n }) }));

describe('Wilson interval', () => {
  it('has the golden upper ends: 0 of 400 is 0.951 %, 0 of 100 is 3.699 %', () => {
    expect(wilson(0, 400).high).toBeCloseTo(0.00951, 5);
    expect(wilson(0, 100).high).toBeCloseTo(0.03699, 5);
    expect(wilson(0, 0)).toEqual({ low: 0, high: 1 });
  });

  it('covers a rate of .05 in 95.0 % of samples of 400, computed exactly', () => {
    const [n, p] = [400, 0.05];
    let term = (1 - p) ** n;
    let covered = 0;
    for (let k = 0; k <= n; k++) {
      const { low, high } = wilson(k, n);
      if (low <= p && p <= high) covered += term;
      term *= ((n - k) / (k + 1)) * (p / (1 - p));
    }
    expect(covered * 100).toBeCloseTo(95.0, 1);
  });

  it('holds the observed rate, stays in [0, 1] and mirrors successes and failures', () => {
    fc.assert(
      fc.property(count, ({ successes, n }) => {
        const { low, high } = wilson(successes, n);
        const mirrored = wilson(n - successes, n);
        expect(low).toBeGreaterThanOrEqual(0);
        expect(high).toBeLessThanOrEqual(1);
        expect(low).toBeLessThanOrEqual(successes / n);
        expect(high).toBeGreaterThanOrEqual(successes / n);
        expect(mirrored.low).toBeCloseTo(1 - high, 12);
      }),
    );
  });
});

describe('Newcombe interval', () => {
  it('has the golden value for 10/500 against 190/9500', () => {
    const { low, high } = newcombe({ successes: 10, n: 500 }, { successes: 190, n: 9_500 });
    expect(low).toBeCloseTo(-0.009587, 6);
    expect(high).toBeCloseTo(0.016629, 6);
  });

  it('changes sign when the two rates change places', () => {
    fc.assert(
      fc.property(count, count, (first, second) => {
        const forward = newcombe(first, second);
        const backward = newcombe(second, first);
        expect(backward.low).toBeCloseTo(-forward.high, 12);
        expect(backward.high).toBeCloseTo(-forward.low, 12);
      }),
    );
  });
});

describe('exact McNemar test', () => {
  it('has the values of the fixtures: 100 : 94 is p .72, 588 : 327 is below 10⁻¹⁵', () => {
    expect(mcnemarExact(100, 94)).toBeCloseTo(0.72, 2);
    expect(mcnemarExact(588, 327)).toBeLessThan(1e-15);
    expect(mcnemarExact(588, 327)).toBeGreaterThan(0);
  });

  it('equals the binomial sum by hand, is symmetric, and is 1 without evidence', () => {
    expect(mcnemarExact(6, 0)).toBeCloseTo(2 / 64, 12);
    expect(mcnemarExact(1, 5)).toBeCloseTo((2 * (1 + 6)) / 64, 12);
    expect(mcnemarExact(0, 0)).toBe(1);
    expect(mcnemarExact(3, 3)).toBe(1);
    fc.assert(
      fc.property(fc.nat(400), fc.nat(400), (b, c) => {
        expect(mcnemarExact(b, c)).toBe(mcnemarExact(c, b));
      }),
    );
  });
});

describe('confidence sequence', () => {
  it('has the golden value for 20 of 1000', () => {
    const { low, high } = confidenceSequence(20, 1_000);
    expect(low).toBeCloseTo(0.007326, 6);
    expect(high).toBeCloseTo(0.042149, 6);
  });

  it('ends where the mixture likelihood ratio is exactly α', () => {
    fc.assert(
      fc.property(count, ({ successes, n }) => {
        const logRatio = (p: number): number => {
          let log = Math.log(n + 1);
          for (let k = 1; k <= successes; k++) log += Math.log((n - successes + k) / k);
          return (
            log +
            (successes && successes * Math.log(p)) +
            (n - successes && (n - successes) * Math.log1p(-p))
          );
        };
        const { low, high } = confidenceSequence(successes, n);
        expect(low).toBeLessThanOrEqual(successes / n);
        expect(high).toBeGreaterThanOrEqual(successes / n);
        if (successes > 0) expect(logRatio(low)).toBeCloseTo(Math.log(0.05), 6);
        if (successes < n) expect(logRatio(high)).toBeCloseTo(Math.log(0.05), 6);
      }),
    );
    expect(confidenceSequence(0, 0)).toEqual({ low: 0, high: 1 });
  });

  it('leaves out the truth in at most 5 % of runs although it looks after every observation', () => {
    let missed = 0;
    for (let run = 0; run < 2_000; run++) {
      const random = createRandom(run, 'anytime');
      let successes = 0;
      for (let n = 1; n <= 300; n++) {
        if (random.uniform() < 0.3) successes++;
        const { low, high } = confidenceSequence(successes, n);
        if (low > 0.3 || high < 0.3) {
          missed++;
          break;
        }
      }
    }
    expect(missed / 2_000).toBeLessThanOrEqual(0.05);
    expect(missed).toBeGreaterThan(0);
  });
});
