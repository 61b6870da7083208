// In a sandboxed context every use of a global is a lookup through an interceptor; hot loops take it once.
const { abs, max } = Math;

/** Metrics of scored rows, in the order in which a report lists them. */
export const rowMetrics = [
  'accuracy',
  'error',
  'accuracy_over_majority',
  'auc',
  'log_loss',
  'brier',
  'ece',
  'precision',
  'recall',
  'f1',
  'expected_cost',
] as const;

/** Name of a metric of scored rows. */
export type RowMetric = (typeof rowMetrics)[number];

/** One value per metric; NaN where it is undefined (one class only, no predicted positive, no rows). */
export type Metrics = Record<RowMetric, number>;

/** Scored rows: probability of the positive class and label (1 positive, 0 negative), row by row. */
export interface Scores {
  probabilities: Float64Array;
  labels: Uint8Array;
}

/** Cost of one row by label and prediction, in any unit. */
export interface CostMatrix {
  truePositive: number;
  falsePositive: number;
  trueNegative: number;
  falseNegative: number;
}

/** How scores become decisions and what decisions cost. */
export interface MetricOptions {
  /** A row is predicted positive if its probability is at least this; 0.5 by default. */
  decisionThreshold?: number;
  /** 1 for each kind of error by default, which makes the expected cost the error. */
  costs?: CostMatrix;
}

/** Probability at and above which a row is predicted positive. */
export const DEFAULT_DECISION_THRESHOLD = 0.5;
/** Log-loss clips probabilities to [1e-15, 1 − 1e-15], so that one certain mistake costs 34.5 and not infinity. */
export const LOG_LOSS_CLIP = 1e-15;
/** Equal-width bins of the expected calibration error. */
const ECE_BINS = 10;
const UNIT_COSTS: CostMatrix = {
  truePositive: 0,
  falsePositive: 1,
  trueNegative: 0,
  falseNegative: 1,
};

/** 1 where the row is predicted positive. */
export function decide(
  probabilities: Float64Array,
  threshold = DEFAULT_DECISION_THRESHOLD,
): Uint8Array {
  const selected = new Uint8Array(probabilities.length);
  for (let i = 0; i < selected.length; i++)
    selected[i] = (probabilities[i] ?? 0) >= threshold ? 1 : 0;
  return selected;
}

/** Rows in ascending order of probability with everything that no resample changes. */
interface SortedRows {
  /** Row index by position. */
  order: Uint32Array;
  /** 1 where the next position has another probability: ties end here. */
  tieEnd: Uint8Array;
  label: Uint8Array;
  probability: Float64Array;
  loss: Float64Array;
  bin: Uint8Array;
}

function sortRows({ probabilities, labels }: Scores): SortedRows {
  const n = labels.length;
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  order.sort((a, b) => (probabilities[a] ?? 0) - (probabilities[b] ?? 0) || a - b);
  const rows: SortedRows = {
    order,
    tieEnd: new Uint8Array(n),
    label: new Uint8Array(n),
    probability: new Float64Array(n),
    loss: new Float64Array(n),
    bin: new Uint8Array(n),
  };
  for (let at = 0; at < n; at++) {
    const row = order[at] ?? 0;
    const p = probabilities[row] ?? 0;
    const label = labels[row] ?? 0;
    const clipped = Math.min(1 - LOG_LOSS_CLIP, Math.max(LOG_LOSS_CLIP, p));
    rows.label[at] = label;
    rows.probability[at] = p;
    rows.loss[at] = label === 1 ? -Math.log(clipped) : -Math.log1p(-clipped);
    rows.bin[at] = Math.min(ECE_BINS - 1, Math.floor(p * ECE_BINS));
    if (at > 0 && rows.probability[at - 1] !== p) rows.tieEnd[at - 1] = 1;
  }
  if (n > 0) rows.tieEnd[n - 1] = 1;
  return rows;
}

interface Sums {
  truePositive: number;
  falsePositive: number;
  trueNegative: number;
  falseNegative: number;
  loss: number;
  squares: number;
  calibrationGap: number;
  /** Pairs (positive, negative) in the right order; a tie counts one half. */
  orderedPairs: number;
}

/** The hot loop: one pass in score order. Ties and calibration bins are contiguous there. */
function sumRows(rows: SortedRows, firstPositive: number, weights: Uint32Array): Sums {
  const { order, tieEnd, label, probability, loss, bin } = rows;
  const n = order.length;
  let [positives, negatives, lossSum, squares, gapSum, pairs] = [0, 0, 0, 0, 0, 0];
  let [tiePositives, tieNegatives, binGap, currentBin] = [0, 0, 0, 0];
  let [falseNegative, trueNegative] = [0, 0];
  for (let at = 0; at < n; at++) {
    if (at === firstPositive) {
      falseNegative = positives + tiePositives;
      trueNegative = negatives + tieNegatives;
    }
    const weight = weights[order[at] as number] as number;
    if (weight !== 0) {
      const p = probability[at] as number;
      const y = label[at] as number;
      if (bin[at] !== currentBin) {
        gapSum += abs(binGap);
        binGap = 0;
        currentBin = bin[at] as number;
      }
      binGap += weight * (y - p);
      lossSum += weight * (loss[at] as number);
      squares += weight * (p - y) * (p - y);
      if (y === 1) tiePositives += weight;
      else tieNegatives += weight;
    }
    if (tieEnd[at] === 1) {
      pairs += tiePositives * (negatives + tieNegatives / 2);
      positives += tiePositives;
      negatives += tieNegatives;
      tiePositives = tieNegatives = 0;
    }
  }
  if (firstPositive >= n) [falseNegative, trueNegative] = [positives, negatives];
  return {
    truePositive: positives - falseNegative,
    falsePositive: negatives - trueNegative,
    trueNegative,
    falseNegative,
    loss: lossSum,
    squares,
    calibrationGap: gapSum + abs(binGap),
    orderedPairs: pairs,
  };
}

function finish(sums: Sums, costs: CostMatrix): Metrics {
  const { truePositive: tp, falsePositive: fp, trueNegative: tn, falseNegative: fn } = sums;
  const positives = tp + fn;
  const negatives = fp + tn;
  const n = positives + negatives;
  const accuracy = (tp + tn) / n;
  return {
    accuracy,
    error: (fp + fn) / n,
    accuracy_over_majority: accuracy - max(positives, negatives) / n,
    auc: sums.orderedPairs / (positives * negatives),
    log_loss: sums.loss / n,
    brier: sums.squares / n,
    ece: sums.calibrationGap / n,
    precision: tp / (tp + fp),
    recall: tp / positives,
    f1: (2 * tp) / (2 * tp + fp + fn),
    expected_cost:
      (tp * costs.truePositive +
        fp * costs.falsePositive +
        tn * costs.trueNegative +
        fn * costs.falseNegative) /
      n,
  };
}

/** Measures rows under integer weights: a weight of 2 is the row written twice. One weight per row. */
export type WeightedMetrics = (weights: Uint32Array) => Metrics;

/**
 * Sorts the rows once and returns the measurement under any weights, so that a bootstrap resample costs one linear
 * pass. Accuracy, error, precision, recall, F1 and expected cost (mean cost of a row) at the decision threshold;
 * AUC by ranks, ties one half (Mann and Whitney, 1947); log-loss (mean, natural logarithm, clipped as
 * {@link LOG_LOSS_CLIP}); Brier score (1950); expected calibration error over ten equal-width bins, the last one
 * closed (Naeini et al., AAAI 2015). `accuracy_over_majority` is the accuracy minus the share of the larger class:
 * above 0 the model beats the constant answer.
 */
export function prepareMetrics(scores: Scores, options: MetricOptions = {}): WeightedMetrics {
  const rows = sortRows(scores);
  const threshold = options.decisionThreshold ?? DEFAULT_DECISION_THRESHOLD;
  const costs = options.costs ?? UNIT_COSTS;
  let firstPositive = 0;
  while (firstPositive < rows.order.length && (rows.probability[firstPositive] ?? 0) < threshold)
    firstPositive++;
  return (weights) => finish(sumRows(rows, firstPositive, weights), costs);
}

/** All metrics of the rows as they are. */
export function measureRows(scores: Scores, options: MetricOptions = {}): Metrics {
  return prepareMetrics(scores, options)(new Uint32Array(scores.labels.length).fill(1));
}

/** Decisions of two models on the same rows, counted by who was right. */
export interface PairedCorrectness {
  n: number;
  bothRight: number;
  firstOnly: number;
  secondOnly: number;
  /** Rows on which the two decisions differ. With two classes this is `firstOnly + secondOnly`. */
  disagreements: number;
}

/** Counts for McNemar's test and for shadow disagreement. All arrays have one entry a row. */
export function countPairs(
  first: Uint8Array,
  second: Uint8Array,
  labels: Uint8Array,
): PairedCorrectness {
  let [bothRight, firstOnly, secondOnly, disagreements] = [0, 0, 0, 0];
  for (let i = 0; i < labels.length; i++) {
    const firstRight = first[i] === labels[i];
    const secondRight = second[i] === labels[i];
    if (firstRight && secondRight) bothRight++;
    else if (firstRight) firstOnly++;
    else if (secondRight) secondOnly++;
    if (first[i] !== second[i]) disagreements++;
  }
  return { n: labels.length, bothRight, firstOnly, secondOnly, disagreements };
}
