import fc from 'fast-check';
import { bootstrap, percentileInterval } from '../../src/domain/evaluation/bootstrap.js';
import {
  compareFairness,
  groupRates,
  measureFairness,
} from '../../src/domain/evaluation/fairness.js';
import type { FairnessMetric, FairnessRows } from '../../src/domain/evaluation/fairness.js';
import {
  encodeGroups,
  intersectGroups,
  MISSING_GROUP,
} from '../../src/domain/evaluation/protected-column.js';
import { createRandom } from '../../src/domain/evaluation/random.js';
import { drawRows, judgeParity, SMALL } from './drawn-rows.js';

/** Rates and measures by their definitions, straight from the rows. */
function byDefinition(rows: FairnessRows): Record<FairnessMetric, number> {
  const rateOf = (code: number, label?: number): number => {
    const inside = [...rows.labels.keys()].filter(
      (row) =>
        rows.column.codes[row] === code && (label === undefined || rows.labels[row] === label),
    );
    return inside.filter((row) => rows.selected[row] === 1).length / inside.length;
  };
  const span = (label?: number): [number, number] => {
    const rates = rows.column.groups.map((_, code) => rateOf(code, label));
    return [Math.min(...rates), Math.max(...rates)];
  };
  const [min, max] = span();
  const [negative, positive] = [span(0), span(1)];
  return {
    demographic_parity_difference: max - min,
    demographic_parity_ratio: min / max,
    equalized_odds_difference: Math.max(negative[1] - negative[0], positive[1] - positive[0]),
  };
}

describe('fairness measures', () => {
  it('equal their definitions on any groups', () => {
    const specs = fc.array(
      fc.record({
        n: fc.integer({ min: 60, max: 150 }),
        rate: fc.double({ min: 0.2, max: 0.8, noNaN: true }),
      }),
      { minLength: 2, maxLength: 5 },
    );
    fc.assert(
      fc.property(specs, fc.nat(), (groups, seed) => {
        const named = groups.map((group, i) => ({ ...group, name: `g${i}` }));
        const rows = drawRows(createRandom(seed), named);
        const { measures } = measureFairness({ ...rows, minimum: SMALL }, { seed, resamples: 1 });
        for (const [metric, value] of Object.entries(byDefinition(rows)))
          expect(measures[metric as FairnessMetric].value).toBeCloseTo(value, 12);
      }),
    );
  });

  it('draw selections as resampling rows within group × label does', () => {
    const rows = drawRows(createRandom(2), [
      { name: 'a', n: 300, rate: 0.3 },
      { name: 'b', n: 400, rate: 0.45 },
    ]);
    const { measures } = measureFairness(
      { ...rows, minimum: SMALL },
      { seed: 1, resamples: 10_000 },
    );
    const stratum = (code: number, label: number) =>
      [...rows.labels.keys()].filter(
        (row) => rows.column.codes[row] === code && rows.labels[row] === label,
      );
    const strata = [0, 1].map((code) => [0, 1].map((label) => stratum(code, label)));
    const random = createRandom(77);
    const selectedIn = (list: number[]): number => {
      let count = 0;
      for (let i = 0; i < list.length; i++)
        count += rows.selected[list[random.below(list.length)] ?? 0] ?? 0;
      return count;
    };
    const byRow = Float64Array.from({ length: 10_000 }, () => {
      const [a = 0, b = 0] = strata.map((labels) =>
        labels.reduce((sum, list) => sum + selectedIn(list), 0),
      );
      return Math.abs(a / 300 - b / 400);
    });
    const one = percentileInterval(measures.demographic_parity_difference.samples);
    const two = percentileInterval(byRow);
    expect(one?.low).toBeCloseTo(two?.low ?? 0, 2);
    expect(one?.high).toBeCloseTo(two?.high ?? 0, 2);
  });

  it('call two groups that select nobody equal', () => {
    const rows = drawRows(createRandom(1), [
      { name: 'a', n: 250, rate: 0 },
      { name: 'b', n: 250, rate: 0 },
    ]);
    const { measures } = measureFairness(rows, { seed: 1 });
    expect(measures.demographic_parity_ratio.value).toBe(1);
    expect(measures.demographic_parity_difference.value).toBe(0);
  });
});

describe('groups', () => {
  it('that are declared but empty, or too small, are listed and withhold the verdict', () => {
    const values = [
      ...Array<string>(300).fill('a'),
      ...Array<string>(300).fill('b'),
      ...Array<string>(199).fill('c'),
    ];
    const column = encodeGroups('kind', values, ['a', 'b', 'c', 'never-seen']);
    const labels = Uint8Array.from(values, (_, i) => i % 2);
    const rows = { column, labels, selected: labels };
    expect(
      groupRates(rows).map(({ group, rows: n, enoughRows }) => [group, n, enoughRows]),
    ).toEqual([
      ['a', 300, true],
      ['b', 300, true],
      ['c', 199, false],
      ['never-seen', 0, false],
    ]);
    expect(
      measureFairness(rows, { seed: 1 }).measures.demographic_parity_difference.insufficientGroups,
    ).toEqual(['c', 'never-seen']);
    expect(judgeParity(rows, 1)).toBe('INCONCLUSIVE');
  });

  it('with 29 positives or 29 negatives serve for parity but not for odds', () => {
    const rowsWith = (positives: number) => {
      const values = [...Array<string>(400).fill('big'), ...Array<string>(200).fill('small')];
      const labels = Uint8Array.from(values, (_, i) =>
        i < 400 ? i % 2 : i < 400 + positives ? 1 : 0,
      );
      return measureFairness(
        { column: encodeGroups('kind', values), labels, selected: labels },
        { seed: 1 },
      ).measures;
    };
    for (const positives of [29, 171]) {
      expect(rowsWith(positives).demographic_parity_difference.insufficientGroups).toEqual([]);
      expect(rowsWith(positives).equalized_odds_difference.insufficientGroups).toEqual(['small']);
      expect(rowsWith(positives).equalized_odds_difference.value).toBeNaN();
    }
    expect(rowsWith(30).equalized_odds_difference.insufficientGroups).toEqual([]);
    expect(rowsWith(170).equalized_odds_difference.insufficientGroups).toEqual([]);
  });

  it('that nobody declared are found, and rows without a value are a group of their own', () => {
    const column = encodeGroups('sex', ['x', null, 'b', undefined, 'a'], ['b']);
    expect(column.groups).toEqual(['b', MISSING_GROUP, 'a', 'x']);
    expect([...column.codes]).toEqual([3, 1, 0, 1, 2]);
  });

  it('intersect to every combination, empty ones included', () => {
    const joint = intersectGroups([
      encodeGroups('sex', ['f', 'm', 'f', 'm']),
      encodeGroups('race', ['p', 'q', 'q', 'q']),
    ]);
    expect(joint.attribute).toBe('sex & race');
    expect(joint.groups).toEqual(['f & p', 'f & q', 'm & p', 'm & q']);
    expect([...joint.codes]).toEqual([0, 3, 1, 3]);
  });
});

describe('change of fairness against a reference', () => {
  const RATES = [
    { name: 'a', n: 600, rate: 0.3 },
    { name: 'b', n: 600, rate: 0.4 },
  ];

  it('is 0 in every resample for a model against itself', () => {
    const rows = drawRows(createRandom(4), RATES);
    const changes = compareFairness({ ...rows, referenceSelected: rows.selected }, { seed: 1 });
    for (const { value, samples } of Object.values(changes)) {
      expect(value).toBe(0);
      expect(samples.every((sample) => sample === 0)).toBe(true);
    }
  });

  it('against a model that selects nobody is the fairness of the model itself, by label too', () => {
    const rows = drawRows(createRandom(8), RATES);
    const random = createRandom(9);
    // Selection that follows the label, more so in one group: strata must not be mixed up.
    const selected = rows.labels.map((label, i) =>
      random.uniform() < (label === 1 ? 0.8 : 0.1) - 0.05 * (rows.column.codes[i] ?? 0) ? 1 : 0,
    );
    const referenceSelected = new Uint8Array(selected.length);
    const how = { seed: 2, resamples: 8_000 };
    const own = measureFairness({ ...rows, selected }, how).measures;
    const change = compareFairness({ ...rows, selected, referenceSelected }, how);
    for (const metric of ['demographic_parity_difference', 'equalized_odds_difference'] as const) {
      expect(change[metric].value).toBeCloseTo(own[metric].value, 12);
      const one = percentileInterval(own[metric].samples);
      const two = percentileInterval(change[metric].samples);
      expect(Math.abs((one?.low ?? 0) - (two?.low ?? 1))).toBeLessThan(0.005);
      expect(Math.abs((one?.high ?? 0) - (two?.high ?? 1))).toBeLessThan(0.005);
    }
  });

  it('has the distribution of resampling both models by the same rows', () => {
    const rows = drawRows(createRandom(5), RATES);
    const random = createRandom(6);
    const referenceSelected = rows.selected.map((own) => (random.uniform() < 0.1 ? 1 - own : own));
    const changes = compareFairness(
      { ...rows, referenceSelected, minimum: SMALL },
      { seed: 2, resamples: 8_000 },
    );
    // Whole-row resampling in each group: the strata's sizes vary a little more, so ends agree to two digits only.
    const differenceOf = (selected: Uint8Array, weights: Uint32Array) => {
      const sums = [0, 0];
      const sizes = [0, 0];
      weights.forEach((weight, row) => {
        const code = rows.column.codes[row] ?? 0;
        sums[code] = (sums[code] ?? 0) + weight * (selected[row] ?? 0);
        sizes[code] = (sizes[code] ?? 0) + weight;
      });
      return Math.abs((sums[0] ?? 0) / (sizes[0] ?? 1) - (sums[1] ?? 0) / (sizes[1] ?? 1));
    };
    const byRow = bootstrap(
      rows.labels.length,
      (weights) => differenceOf(rows.selected, weights) - differenceOf(referenceSelected, weights),
      { seed: 3, resamples: 2_000 },
    );
    const one = percentileInterval(changes.demographic_parity_difference.samples);
    const two = percentileInterval(byRow);
    expect(Math.abs((one?.low ?? 0) - (two?.low ?? 1))).toBeLessThan(0.006);
    expect(Math.abs((one?.high ?? 0) - (two?.high ?? 1))).toBeLessThan(0.006);
  });
});
