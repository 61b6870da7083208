import fc from 'fast-check';
import { binIndex, categoryBins, countInBins, numberBins } from '../../src/domain/datasets/bins.js';
import { createProfiler } from '../../src/domain/datasets/profile.js';
import { chiSquareQuantile, psi, psiNoiseFloor } from '../../src/domain/datasets/psi.js';
import { contractOf } from './stage-table.js';

const ascending = (values: number[]) => Float64Array.from(values).sort();
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

describe('reference bins', () => {
  it('cut evenly spread values at their deciles', () => {
    const bins = numberBins('x', ascending(range(1_001)), 0);
    expect(bins.points).toEqual([]);
    expect(bins.edges).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900]);
    expect(bins.counts).toEqual([100, 100, 100, 100, 100, 100, 100, 100, 100, 101, 0]);
  });

  it('give a value with a tenth of the rows a bin of its own and cut the rest into its share', () => {
    const bins = numberBins(
      'x',
      ascending([...new Array<number>(700).fill(0), ...range(301).slice(1)]),
      0,
    );
    expect(bins.points).toEqual([0]);
    expect(bins.edges).toHaveLength(2);
    expect(bins.counts[0]).toBe(700);
    expect(binIndex(bins, 0)).toBe(0);
    expect(binIndex(bins, -1)).toBe(1);
    expect(binIndex(bins, 1e9)).toBe(3);
    expect(binIndex(bins, null)).toBe(4);
  });

  it('keep a bin for values that a constant field has never had', () => {
    const bins = numberBins('x', ascending([5, 5, 5]), 1);
    expect(bins).toMatchObject({ points: [5], edges: [], counts: [3, 0, 1] });
    expect(countInBins(bins, [5, 6, 4, null])).toEqual([1, 2, 1]);
  });

  it('keep bins for categories never seen and for missing ones', () => {
    const bins = categoryBins(
      'c',
      new Map([
        ['b', 2],
        ['a', 3],
      ]),
      4,
    );
    expect(bins).toMatchObject({ categories: ['a', 'b'], counts: [3, 2, 0, 4] });
    expect(countInBins(bins, ['a', 'z', null, 'b'])).toEqual([1, 1, 1, 1]);
  });

  it('count every row once, whatever the values', () => {
    const value = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ noNaN: true }));
    fc.assert(
      fc.property(fc.array(value), fc.nat(20), (values, missing) => {
        const bins = numberBins('x', ascending(values), missing);
        const total = bins.counts.reduce((sum, count) => sum + count, 0);
        expect(total).toBe(values.length + missing);
        const again = countInBins(bins, [...values, ...new Array<null>(missing).fill(null)]);
        expect(again).toEqual(bins.counts);
      }),
    );
  });
});

describe('PSI', () => {
  it('is the sum of the definition where no bin is small', () => {
    const expected = (0.6 - 0.5) * Math.log(0.6 / 0.5) + (0.4 - 0.5) * Math.log(0.4 / 0.5);
    expect(psi([500, 500], [60, 40])).toEqual({ psi: expected, bins: 2 });
    expect(psi([10, 20, 70], [100, 200, 700]).psi).toBeCloseTo(0, 12);
  });

  it('floors shares, so that a bin that empties gives a finite value', () => {
    const floored = (1e-4 - 0.5) * Math.log(1e-4 / 0.5) + (1 - 0.5) * Math.log(1 / 0.5);
    expect(psi([50, 50], [100, 0]).psi).toBeCloseTo(floored, 12);
  });

  it('pools bins below five expected rows, and the pool joins the smallest other bin', () => {
    expect(psi([500, 440, 30, 30], [50, 44, 3, 3]).bins).toBe(3);
    expect(psi([500, 480, 20, 0], [49, 48, 2, 1])).toEqual(psi([500, 500], [49, 51]));
  });

  it('has a noise floor from the χ² quantile', () => {
    expect(chiSquareQuantile(0.95, 1)).toBeCloseTo(3.841458820694124, 8);
    expect(chiSquareQuantile(0.99, 9)).toBeCloseTo(21.665994333461924, 8);
    expect(chiSquareQuantile(1 - 0.01 / 30, 9)).toBeCloseTo(30.699187, 5);
    const size = { bins: 10, referenceRows: 1_000, windowRows: 200, fields: 1 };
    expect(psiNoiseFloor(size)).toBeCloseTo(21.665994333461924 * (1 / 1_000 + 1 / 200), 10);
  });

  it('passes its noise floor in about 1 % of windows without drift', () => {
    let state = 20_261_121;
    const random = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    const draw = (n: number) => Array.from({ length: n }, random);
    const runs = 2_000;
    let above = 0;
    for (let run = 0; run < runs; run++) {
      const bins = numberBins('x', ascending(draw(1_000)), 0);
      const found = psi(bins.counts, countInBins(bins, draw(300)));
      const size = { bins: found.bins, referenceRows: 1_000, windowRows: 300, fields: 1 };
      if (found.psi > psiNoiseFloor(size)) above++;
    }
    expect(above / runs).toBeGreaterThan(0.005);
    expect(above / runs).toBeLessThan(0.02);
  });
});

describe('profile', () => {
  const { fields } = contractOf({
    fields: [
      { name: 'id', type: 'string', personal: 'identifier' },
      { name: 'n', type: 'number', nullable: true },
      { name: 'c', type: 'categorical' },
      { name: 'y', type: 'boolean' },
    ],
    label: { field: 'y', positive: true },
  });

  it('measures columns, and shows no value of an identifier', () => {
    const profiler = createProfiler(fields);
    for (const i of range(1_000))
      profiler.add([`s${i % 50}`, i % 4 ? i : null, i % 3 ? 'a' : 'b', true]);
    const { profile, bins } = profiler.finish();
    const present = range(1_000).filter((i) => i % 4);
    const mean = present.reduce((sum, i) => sum + i, 0) / present.length;
    const sd = Math.sqrt(present.reduce((sum, i) => sum + (i - mean) ** 2, 0) / present.length);
    const [id, n, c] = profile.columns;
    expect(id).toEqual({
      field: 'id',
      type: 'string',
      rows: 1_000,
      missing: 0,
      distinct: 50,
      distinctCapped: false,
    });
    expect(n).toMatchObject({
      missing: 250,
      distinct: 750,
      number: { min: 1, max: 999, quantileRows: 1_000 },
    });
    expect(n?.number?.mean).toBeCloseTo(mean, 9);
    expect(n?.number?.sd).toBeCloseTo(sd, 9);
    expect(n?.number?.quantiles.p50).toBe(500);
    expect(c).toMatchObject({
      distinct: 2,
      categories: [
        { value: 'a', count: 666 },
        { value: 'b', count: 334 },
      ],
      categoriesComplete: true,
    });
    expect(bins.map(({ field }) => field)).toEqual(['n', 'c', 'y']);
  });

  it('stays bounded where values never repeat', () => {
    const profiler = createProfiler(fields);
    for (const i of range(30_000)) profiler.add([`s${i}`, i, `c${i}`, true]);
    const { profile, bins } = profiler.finish();
    expect(profile.columns[0]).toMatchObject({ distinct: 10_000, distinctCapped: true });
    expect(profile.columns[2]).toMatchObject({ distinctCapped: true, categoriesComplete: false });
    expect(profile.columns[2]?.categories).toHaveLength(1_000);
    expect(bins.map(({ field }) => field)).toEqual(['n', 'y']);
  });
});
