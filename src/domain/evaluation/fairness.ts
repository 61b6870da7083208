import { createBinomialFamily, createBinomialSampler } from './binomial-sampler.js';
import type { BinomialSampler } from './binomial-sampler.js';
import { DEFAULT_RESAMPLES } from './bootstrap.js';
import type { Resampling } from './bootstrap.js';
import type { ProtectedColumn } from './protected-column.js';
import { createRandom } from './random.js';
import type { Random } from './random.js';

/** Group fairness measures, in the order in which a report lists them. */
export const fairnessMetrics = [
  'demographic_parity_difference',
  'demographic_parity_ratio',
  'equalized_odds_difference',
] as const;

/** Name of a fairness measure. */
export type FairnessMetric = (typeof fairnessMetrics)[number];

/** Smallest group that can be judged. */
export interface GroupMinimum {
  /** Rows of a group, 200 by default: below it equal rates differ by more than a fifth too often by chance. */
  rows: number;
  /** Positives and negatives of a group, 30 each by default; needed by equalized odds only. */
  positives: number;
  negatives: number;
}

/** Minimum where nothing else is said. */
export const DEFAULT_GROUP_MINIMUM: GroupMinimum = { rows: 200, positives: 30, negatives: 30 };

/** Counts and rates of one group. A rate is null where its denominator is 0. */
export interface GroupRates {
  group: string;
  rows: number;
  positives: number;
  negatives: number;
  selected: number;
  selectedPositives: number;
  selectionRate: number | null;
  truePositiveRate: number | null;
  falsePositiveRate: number | null;
  /** False: too few rows for the selection measures. */
  enoughRows: boolean;
  /** False: too few rows, positives or negatives for equalized odds. */
  enoughForOdds: boolean;
}

/** One fairness measure of one attribute, with its bootstrap values. */
export interface FairnessMeasure {
  /** Over the groups with enough evidence; NaN if fewer than two have it. */
  value: number;
  /** Bootstrap values; empty if the value is NaN. */
  samples: Float64Array;
  /** Groups with too little evidence; any of them makes the verdict INCONCLUSIVE. */
  insufficientGroups: string[];
}

/** Fairness of one attribute. */
export interface Fairness {
  attribute: string;
  groups: GroupRates[];
  measures: Record<FairnessMetric, FairnessMeasure>;
}

/** What fairness is measured on: one entry a row in every array. */
export interface FairnessRows {
  column: ProtectedColumn;
  labels: Uint8Array;
  /** 1 where the model predicts the positive class. */
  selected: Uint8Array;
  minimum?: GroupMinimum;
}

const rate = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);

/** Rates per declared group, empty groups included. */
export function groupRates(rows: FairnessRows): GroupRates[] {
  const { column, labels, selected } = rows;
  const minimum = rows.minimum ?? DEFAULT_GROUP_MINIMUM;
  const cells = new Float64Array(column.groups.length * 4);
  for (let row = 0; row < labels.length; row++) {
    const cell = (column.codes[row] as number) * 4 + (labels[row] as number) * 2;
    cells[cell + (selected[row] as number)] =
      (cells[cell + (selected[row] as number)] as number) + 1;
  }
  return column.groups.map((group, code) => {
    const cell = (at: number): number => cells[code * 4 + at] ?? 0;
    const negatives = cell(0) + cell(1);
    const positives = cell(2) + cell(3);
    const all = positives + negatives;
    const enoughRows = all >= Math.max(1, minimum.rows);
    return {
      group,
      rows: all,
      positives,
      negatives,
      selected: cell(1) + cell(3),
      selectedPositives: cell(3),
      selectionRate: rate(cell(1) + cell(3), all),
      truePositiveRate: rate(cell(3), positives),
      falsePositiveRate: rate(cell(1), negatives),
      enoughRows,
      enoughForOdds:
        enoughRows &&
        positives >= Math.max(1, minimum.positives) &&
        negatives >= Math.max(1, minimum.negatives),
    };
  });
}

/** The counts of one group that a resample changes. */
interface Draw {
  group: GroupRates;
  truePositives: number;
  falsePositives: number;
}

// In a sandboxed context every use of a global is a lookup through an interceptor; hot loops take it once.
const { max } = Math;
const INFINITY = Number.POSITIVE_INFINITY;

const enoughRows = (group: GroupRates): boolean => group.enoughRows;
const enoughForOdds = (group: GroupRates): boolean => group.enoughForOdds;

/** One value per measure. */
type Disparity = Record<FairnessMetric, number>;

/**
 * The three measures of one set of draws, written into `into`, which is returned: a bootstrap takes them thousands of
 * times. Two groups that select nobody are equal: their ratio is 1.
 */
function disparity(draws: readonly Draw[], into: Disparity): Disparity {
  let [lowest, highest] = [INFINITY, -INFINITY];
  let [lowestTrue, highestTrue, lowestFalse, highestFalse] = [
    INFINITY,
    -INFINITY,
    INFINITY,
    -INFINITY,
  ];
  for (let at = 0; at < draws.length; at++) {
    const { group, truePositives, falsePositives } = draws[at] as Draw;
    if (group.enoughRows) {
      const selection = (truePositives + falsePositives) / group.rows;
      if (selection < lowest) lowest = selection;
      if (selection > highest) highest = selection;
    }
    if (group.enoughForOdds) {
      const truePositive = truePositives / group.positives;
      const falsePositive = falsePositives / group.negatives;
      if (truePositive < lowestTrue) lowestTrue = truePositive;
      if (truePositive > highestTrue) highestTrue = truePositive;
      if (falsePositive < lowestFalse) lowestFalse = falsePositive;
      if (falsePositive > highestFalse) highestFalse = falsePositive;
    }
  }
  into.demographic_parity_difference = highest - lowest;
  into.demographic_parity_ratio = highest === 0 ? 1 : lowest / highest;
  into.equalized_odds_difference = max(highestTrue - lowestTrue, highestFalse - lowestFalse);
  return into;
}

const noDisparity = (): Disparity => ({
  demographic_parity_difference: NaN,
  demographic_parity_ratio: NaN,
  equalized_odds_difference: NaN,
});

const drawOf = (group: GroupRates): Draw => ({
  group,
  truePositives: group.selectedPositives,
  falsePositives: group.selected - group.selectedPositives,
});

const includedBy: Record<FairnessMetric, (group: GroupRates) => boolean> = {
  demographic_parity_difference: enoughRows,
  demographic_parity_ratio: enoughRows,
  equalized_odds_difference: enoughForOdds,
};

/** Assembles the measures; a measure with fewer than two usable groups has no value. */
function assemble(
  groups: readonly GroupRates[],
  value: Disparity,
  samples: Record<FairnessMetric, Float64Array>,
): Record<FairnessMetric, FairnessMeasure> {
  const measure = (metric: FairnessMetric): FairnessMeasure => {
    const usable = groups.filter(includedBy[metric]).length >= 2;
    return {
      value: usable ? value[metric] : NaN,
      samples: usable ? samples[metric] : new Float64Array(0),
      insufficientGroups: groups.filter((g) => !includedBy[metric](g)).map(({ group }) => group),
    };
  };
  return Object.fromEntries(fairnessMetrics.map((metric) => [metric, measure(metric)])) as Record<
    FairnessMetric,
    FairnessMeasure
  >;
}

/** Values of `draw` by measure; it may answer one object again and again. */
function collect(resamples: number, draw: () => Disparity): Record<FairnessMetric, Float64Array> {
  const difference = new Float64Array(resamples);
  const ratio = new Float64Array(resamples);
  const odds = new Float64Array(resamples);
  for (let resample = 0; resample < resamples; resample++) {
    const values = draw();
    difference[resample] = values.demographic_parity_difference;
    ratio[resample] = values.demographic_parity_ratio;
    odds[resample] = values.equalized_odds_difference;
  }
  return {
    demographic_parity_difference: difference,
    demographic_parity_ratio: ratio,
    equalized_odds_difference: odds,
  };
}

/**
 * Demographic parity difference (max − min selection rate) and ratio (min / max), and equalized odds difference
 * (larger of the ranges of TPR and FPR), after Agarwal et al., A Reductions Approach to Fair Classification, 2018, and
 * Hardt et al., Equality of Opportunity, 2016, over all groups with enough evidence, with bootstrap values.
 *
 * Rows are resampled within group × label. All that a resample changes is how many of a stratum's m rows are selected,
 * and with k of m selected that number is binomial(m, k / m) exactly; it is drawn so, and no row is touched.
 */
export function measureFairness(rows: FairnessRows, resampling: Resampling): Fairness {
  const groups = groupRates(rows);
  const random = createRandom(resampling.seed, resampling.stream);
  const strata = groups
    .filter(enoughRows)
    .map(
      (group): { draw: Draw; truePositives: BinomialSampler; falsePositives: BinomialSampler } => ({
        draw: drawOf(group),
        truePositives: createBinomialSampler(group.positives, group.truePositiveRate ?? 0),
        falsePositives: createBinomialSampler(group.negatives, group.falsePositiveRate ?? 0),
      }),
    );
  const draws = strata.map(({ draw }) => draw);
  const value = disparity(draws, noDisparity());
  const drawn = noDisparity();
  const samples = collect(resampling.resamples ?? DEFAULT_RESAMPLES, () => {
    for (const stratum of strata) {
      stratum.draw.truePositives = stratum.truePositives(random);
      stratum.draw.falsePositives = stratum.falsePositives(random);
    }
    return disparity(draws, drawn);
  });
  return { attribute: rows.column.attribute, groups, measures: assemble(groups, value, samples) };
}

/** Draws how many of one stratum's rows each of two models selects, keeping their dependence. */
type JointSampler = (random: Random) => { own: number; reference: number };

/**
 * Counts of (both select, own only, reference only, neither) of a resample are multinomial; three conditional
 * binomials have exactly that distribution.
 */
function jointSampler(cells: Float64Array, at: number): JointSampler {
  const [neither = 0, referenceOnly = 0, ownOnly = 0, both = 0] = cells.subarray(at, at + 4);
  const own = both + ownOnly;
  const other = referenceOnly + neither;
  const drawOwn = createBinomialSampler(own + other, own === 0 ? 0 : own / (own + other));
  const drawBoth = createBinomialFamily(own === 0 ? 0 : both / own);
  const drawReference = createBinomialFamily(other === 0 ? 0 : referenceOnly / other);
  return (random) => {
    const selected = drawOwn(random);
    const reference = drawBoth(selected, random) + drawReference(own + other - selected, random);
    return { own: selected, reference };
  };
}

/** Both models' decisions on the same rows. */
export interface PairedFairnessRows extends FairnessRows {
  /** 1 where the reference model predicts the positive class. */
  referenceSelected: Uint8Array;
}

/** Counts per (group × label × own decision × reference decision). */
function jointCells(rows: PairedFairnessRows): Float64Array {
  const cells = new Float64Array(rows.column.groups.length * 8);
  for (let row = 0; row < rows.labels.length; row++) {
    const stratum = (rows.column.codes[row] as number) * 2 + (rows.labels[row] as number);
    const cell =
      stratum * 4 + (rows.selected[row] as number) * 2 + (rows.referenceSelected[row] as number);
    cells[cell] = (cells[cell] as number) + 1;
  }
  return cells;
}

/**
 * Paired bootstrap of the change of each measure against a reference model, own minus reference: rows are resampled
 * within group × label and both models are measured on the same resample.
 */
export function compareFairness(
  rows: PairedFairnessRows,
  resampling: Resampling,
): Record<FairnessMetric, FairnessMeasure> {
  const cells = jointCells(rows);
  const own = groupRates(rows);
  const reference = groupRates({ ...rows, selected: rows.referenceSelected });
  const random = createRandom(resampling.seed, resampling.stream);
  const strata = own.flatMap((group, code) => {
    const other = reference[code];
    if (!group.enoughRows || other === undefined) return [];
    return [
      {
        own: drawOf(group),
        reference: drawOf(other),
        negatives: jointSampler(cells, code * 8),
        positives: jointSampler(cells, code * 8 + 4),
      },
    ];
  });
  const ownDraws = strata.map((stratum) => stratum.own);
  const referenceDraws = strata.map((stratum) => stratum.reference);
  const theirs = noDisparity();
  const difference = (mine: Disparity): Disparity => {
    disparity(ownDraws, mine);
    disparity(referenceDraws, theirs);
    mine.demographic_parity_difference -= theirs.demographic_parity_difference;
    mine.demographic_parity_ratio -= theirs.demographic_parity_ratio;
    mine.equalized_odds_difference -= theirs.equalized_odds_difference;
    return mine;
  };
  const value = difference(noDisparity());
  const drawn = noDisparity();
  const samples = collect(resampling.resamples ?? DEFAULT_RESAMPLES, () => {
    for (const stratum of strata) {
      const positives = stratum.positives(random);
      const negatives = stratum.negatives(random);
      stratum.own.truePositives = positives.own;
      stratum.own.falsePositives = negatives.own;
      stratum.reference.truePositives = positives.reference;
      stratum.reference.falsePositives = negatives.reference;
    }
    return difference(drawn);
  });
  return assemble(own, value, samples);
}
