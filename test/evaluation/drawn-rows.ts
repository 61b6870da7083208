import { createBinomialSampler } from '../../src/domain/evaluation/binomial-sampler.js';
import { percentileInterval } from '../../src/domain/evaluation/bootstrap.js';
import { criterionSchema, judgeCriterion } from '../../src/domain/evaluation/criteria.js';
import { measureFairness } from '../../src/domain/evaluation/fairness.js';
import type { FairnessRows } from '../../src/domain/evaluation/fairness.js';
import type { Random } from '../../src/domain/evaluation/random.js';

interface GroupSpec {
  name: string;
  n: number;
  rate: number;
  /** Draws how many of a stratum are selected, not each row: of a large group that is most of the time of a simulation. */
  byCount?: boolean;
}

/** The least a group may have to be measured at all. */
export const SMALL = { rows: 1, positives: 1, negatives: 1 };

/** Rows of groups that are selected at random at their rates, with half positives. */
export function drawRows(random: Random, groups: GroupSpec[]): FairnessRows {
  const all = groups.reduce((sum, { n }) => sum + n, 0);
  const labels = new Uint8Array(all);
  const selected = new Uint8Array(all);
  const codes = new Uint16Array(all);
  let row = 0;
  for (const [code, { n, rate, byCount = false }] of groups.entries()) {
    codes.fill(code, row, row + n);
    const negatives = Math.ceil(n / 2);
    const below = rate * 2 ** 32;
    for (const [label, rows] of [negatives, n - negatives].entries()) {
      labels.fill(label, row, row + rows);
      const end = row + rows;
      if (byCount) selected.fill(1, row, row + createBinomialSampler(rows, rate)(random));
      else for (let at = row; at < end; at++) selected[at] = random.uint32() < below ? 1 : 0;
      row = end;
    }
  }
  return {
    column: { attribute: 'group', groups: groups.map(({ name }) => name), codes },
    labels,
    selected,
  };
}

const parity = criterionSchema.parse({
  id: 'parity',
  metric: 'demographic_parity_difference',
  op: 'lte',
  threshold: 0.1,
  vs: 'absolute',
  minN: 1,
  severity: 'block',
});

/** The verdict on a demographic parity difference of at most 0.1. */
export function judgeParity(rows: FairnessRows, seed: number) {
  const measure = measureFairness(rows, { seed }).measures.demographic_parity_difference;
  return judgeCriterion(
    {
      kind: 'sampled',
      value: measure.value,
      interval: percentileInterval(measure.samples),
      n: rows.labels.length,
      positives: 1,
      negatives: 1,
      insufficient: measure.insufficientGroups,
    },
    parity,
  ).verdict;
}
