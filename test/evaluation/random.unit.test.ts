import fc from 'fast-check';
import {
  createBinomialFamily,
  createBinomialSampler,
} from '../../src/domain/evaluation/binomial-sampler.js';
import { createRandom } from '../../src/domain/evaluation/random.js';

const first = (seed: number, stream?: string): number[] => {
  const random = createRandom(seed, stream);
  return Array.from({ length: 4 }, () => random.uint32());
};

/** Pearson's statistic of observed counts against expected ones. */
const chiSquare = (observed: number[], expected: number[]): number =>
  observed.reduce((sum, o, i) => sum + (o - (expected[i] ?? 0)) ** 2 / (expected[i] ?? 1), 0);

/** Binomial probabilities by the textbook product, in a form of its own. */
function binomialPmf(n: number, p: number): number[] {
  let pmf = [1];
  for (let trial = 0; trial < n; trial++)
    pmf = Array.from(
      { length: pmf.length + 1 },
      (_, k) => (pmf[k] ?? 0) * (1 - p) + (pmf[k - 1] ?? 0) * p,
    );
  return pmf;
}

describe('seeded random numbers', () => {
  it('give the pinned stream for a seed, on every platform and for ever', () => {
    expect(first(0)).toEqual([595030216, 3800013889, 3854862528, 1948977265]);
    expect(first(42, 'all/metrics')).toEqual([1942529788, 1021404537, 2130296537, 1651055182]);
  });

  it('differ between seeds, between streams, and between seeds that differ above 32 bits only', () => {
    const streams = [
      first(1),
      first(2),
      first(1, 'a'),
      first(1, 'b'),
      first(1 + 2 ** 32),
      first(2 ** 53 - 1),
    ];
    expect(new Set(streams.map(String)).size).toBe(streams.length);
  });

  it('repeat exactly for every seed and stream', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.string(), (seed, stream) => {
        expect(first(seed, stream)).toEqual(first(seed, stream));
      }),
    );
  });

  it('stay in range and reach both ends of small bounds', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: 1, max: 2 ** 31 }), (seed, bound) => {
        const random = createRandom(seed);
        for (let i = 0; i < 20; i++) {
          const uniform = random.uniform();
          expect(uniform >= 0 && uniform < 1).toBe(true);
          const below = random.below(bound);
          expect(Number.isInteger(below) && below >= 0 && below < bound).toBe(true);
        }
      }),
    );
    const random = createRandom(3);
    expect(new Set(Array.from({ length: 200 }, () => random.below(7))).size).toBe(7);
  });

  it('are uniform: 99.9 % of the chi-square distribution holds them, also for bounds that do not divide 2^32', () => {
    const random = createRandom(7);
    const draws = new Array<number>(100).fill(0);
    for (let i = 0; i < 1_000_000; i++) {
      const at = random.below(100);
      draws[at] = (draws[at] ?? 0) + 1;
    }
    expect(
      chiSquare(
        draws,
        draws.map(() => 10_000),
      ),
    ).toBeLessThan(148.2);
    const uniforms = new Array<number>(100).fill(0);
    for (let i = 0; i < 1_000_000; i++) {
      const at = Math.floor(random.uniform() * 100);
      uniforms[at] = (uniforms[at] ?? 0) + 1;
    }
    expect(
      chiSquare(
        uniforms,
        uniforms.map(() => 10_000),
      ),
    ).toBeLessThan(148.2);
  });
});

describe('binomial counts', () => {
  it.each([
    [30, 0.3],
    [30, 0.97],
    [12, 0.01],
  ])('of %d trials at %d have the binomial distribution', (n, p) => {
    const random = createRandom(11);
    const sample = createBinomialSampler(n, p);
    const draws = new Array<number>(n + 1).fill(0);
    for (let i = 0; i < 200_000; i++) {
      const k = sample(random);
      draws[k] = (draws[k] ?? 0) + 1;
    }
    const expected = binomialPmf(n, p).map((share) => share * 200_000);
    const likely = expected.map((e, k) => ({ e, o: draws[k] ?? 0 })).filter(({ e }) => e >= 5);
    const statistic = chiSquare(
      likely.map(({ o }) => o),
      likely.map(({ e }) => e),
    );
    const freedom = likely.length - 1;
    expect(statistic).toBeLessThan(freedom + 3.5 * Math.sqrt(2 * freedom) + 6);
  });

  it('have the right mean and variance where the table starts far from zero', () => {
    const random = createRandom(5);
    const sample = createBinomialSampler(1_000_000, 0.247);
    const draws = Array.from({ length: 50_000 }, () => sample(random));
    const mean = draws.reduce((a, b) => a + b, 0) / draws.length;
    const variance = draws.reduce((a, b) => a + (b - mean) ** 2, 0) / draws.length;
    const expected = 1_000_000 * 0.247 * 0.753;
    expect(Math.abs(mean - 247_000)).toBeLessThan(4 * Math.sqrt(expected / draws.length));
    expect(Math.abs(variance / expected - 1)).toBeLessThan(0.03);
  });

  it('are certain at probabilities 0 and 1 and without trials', () => {
    const random = createRandom(1);
    expect(createBinomialSampler(10, 0)(random)).toBe(0);
    expect(createBinomialSampler(10, 1)(random)).toBe(10);
    expect(createBinomialSampler(0, 0.5)(random)).toBe(0);
    const family = createBinomialFamily(1);
    expect([family(3, random), family(0, random)]).toEqual([3, 0]);
  });

  it('never leave 0 … n', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 20_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.maxSafeNat(),
        (n, p, seed) => {
          const random = createRandom(seed);
          const sample = createBinomialSampler(n, p);
          for (let i = 0; i < 20; i++) {
            const k = sample(random);
            expect(Number.isInteger(k) && k >= 0 && k <= n).toBe(true);
          }
        },
      ),
    );
  });
});
