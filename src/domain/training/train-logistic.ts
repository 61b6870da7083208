import { sparseDesign, type SparseDesign } from './sparse-design.js';
import { solveCholesky } from './solve-cholesky.js';
import { standardiseColumn, type StandardisedColumn } from './standardise-column.js';
import { logLossOf, sigmoid, type LogisticModel } from './trained-model.js';
import type { LogisticParams } from './trainer-params.js';
import type { TrainingTable } from './training-table.js';
import {
  checkTrainingData,
  divergence,
  type StepOutcome,
  type TrainingData,
  type TrainingRequest,
  type TrainingStart,
} from './training-process.js';

/** Raised with every change that can alter a trained bit. */
const LOGISTIC_TRAINER_VERSION = 'logistic-1';

/** Most columns (numeric fields plus categories): a Newton step costs their cube. */
const MAX_LINEAR_COLUMNS = 2_000;
const MAX_HALVINGS = 30;

interface Part {
  design: SparseDesign;
  labels: Uint8Array;
}

function marginOf({ dense, sparse, denseCount, sparseCount }: SparseDesign, w: Float64Array) {
  return (row: number): number => {
    let sum = w[0] ?? 0;
    for (let k = 0; k < denseCount; k++)
      sum += (w[k + 1] ?? 0) * (dense[row * denseCount + k] ?? 0);
    for (let k = 0; k < sparseCount; k++) {
      const column = sparse[row * sparseCount + k] ?? -1;
      if (column >= 0) sum += w[column] ?? 0;
    }
    return sum;
  };
}

/** Σ log-loss + λ/2·‖w‖², the intercept free. */
function objective({ design, labels }: Part, w: Float64Array, lambda: number): number {
  const margin = marginOf(design, w);
  let loss = 0;
  for (let i = 0; i < labels.length; i++) loss += logLossOf(margin(i), labels[i] ?? 0);
  let penalty = 0;
  for (let j = 1; j < w.length; j++) penalty += (w[j] ?? 0) ** 2;
  return loss + (lambda / 2) * penalty;
}

/** Adds one row's share to gradient and lower triangle of the Hessian. */
function accumulate(
  design: SparseDesign,
  into: { gradient: Float64Array; hessian: Float64Array; index: Int32Array; value: Float64Array },
  { row, residual, weight }: { row: number; residual: number; weight: number },
): void {
  const { gradient, hessian, index, value } = into;
  const n = gradient.length;
  let count = 1;
  for (let k = 0; k < design.denseCount; k++) {
    index[count] = k + 1;
    value[count++] = design.dense[row * design.denseCount + k] ?? 0;
  }
  for (let k = 0; k < design.sparseCount; k++) {
    const column = design.sparse[row * design.sparseCount + k] ?? -1;
    if (column < 0) continue;
    index[count] = column;
    value[count++] = 1;
  }
  for (let a = 0; a < count; a++) {
    const i = index[a] ?? 0;
    const x = value[a] ?? 0;
    gradient[i] = (gradient[i] ?? 0) + residual * x;
    const weighted = weight * x;
    // Columns come in rising order, so b ≤ a stays in the lower triangle.
    for (let b = 0; b <= a; b++) {
      const at = i * n + (index[b] ?? 0);
      hessian[at] = (hessian[at] ?? 0) + weighted * (value[b] ?? 0);
    }
  }
}

function derivatives({ design, labels }: Part, w: Float64Array, lambda: number) {
  const n = w.length;
  const slots = 1 + design.denseCount + design.sparseCount;
  const into = {
    gradient: new Float64Array(n),
    hessian: new Float64Array(n * n),
    index: new Int32Array(slots),
    value: new Float64Array(slots),
  };
  into.value[0] = 1;
  const margin = marginOf(design, w);
  for (let row = 0; row < labels.length; row++) {
    const p = sigmoid(margin(row));
    accumulate(design, into, { row, residual: p - (labels[row] ?? 0), weight: p * (1 - p) });
  }
  for (let j = 1; j < n; j++) {
    into.gradient[j] = (into.gradient[j] ?? 0) + lambda * (w[j] ?? 0);
    into.hessian[j * n + j] = (into.hessian[j * n + j] ?? 0) + lambda;
  }
  let gradientMax = 0;
  for (const g of into.gradient) gradientMax = Math.max(gradientMax, Math.abs(g));
  return { gradient: into.gradient, hessian: into.hessian, gradientMax };
}

/**
 * The point after the Newton step from w, halved until the objective does not grow; w itself where no step lowers it
 * (the minimum up to rounding); undefined where there is no finite step. Overwrites the derivatives.
 */
function newtonPoint(
  part: Part,
  { w, lambda }: { w: Float64Array; lambda: number },
  { gradient, hessian }: { gradient: Float64Array; hessian: Float64Array },
): Float64Array | undefined {
  const start = objective(part, w, lambda);
  if (!Number.isFinite(start) || !solveCholesky(hessian, gradient)) return undefined;
  for (let halving = 0, size = 1; halving <= MAX_HALVINGS; halving++, size /= 2) {
    const next = w.map((value, j) => value - size * (gradient[j] ?? 0));
    if (objective(part, next, lambda) <= start) return next;
  }
  return w;
}

function lossAndAccuracy({ design, labels }: Part, w: Float64Array) {
  const margin = marginOf(design, w);
  let loss = 0;
  let hits = 0;
  for (let i = 0; i < labels.length; i++) {
    const x = margin(i);
    const y = labels[i] ?? 0;
    loss += logLossOf(x, y);
    if (x >= 0 === (y === 1)) hits++;
  }
  return { logLoss: loss / labels.length, accuracy: hits / labels.length };
}

function logisticModel(
  { table, classes }: TrainingData,
  scales: readonly StandardisedColumn[],
  w: Float64Array,
): LogisticModel {
  let at = 1 + table.numeric.length;
  const numeric = table.numeric.map(({ name, type }, k) => {
    const { input, mean, deviation } = scales[k] ?? { input: 'float', mean: 0, deviation: 1 };
    const weight = w[k + 1] ?? 0;
    return { kind: 'numeric' as const, name, type, input, mean, deviation, weight };
  });
  const categorical = table.categorical.map(({ name, type, categories }) => {
    const weights = Array.from(w.subarray(at, at + categories.length));
    at += categories.length;
    return { kind: 'categorical' as const, name, type, categories, weights };
  });
  return {
    kind: 'logistic',
    trainerVersion: LOGISTIC_TRAINER_VERSION,
    classes,
    intercept: w[0] ?? 0,
    fields: [...numeric, ...categorical],
  };
}

const columnCount = (table: TrainingTable): number =>
  1 +
  table.numeric.length +
  table.categorical.reduce((sum, { categories }) => sum + categories.length, 0);

/**
 * Ridge logistic regression: minimises Σ log-loss + λ/2·‖w‖² (intercept free) over standardised numbers and one-hot
 * categories by Newton's method (iteratively reweighted least squares; Hastie, Tibshirani & Friedman, 4.4.1) with
 * step halving, until ‖gradient‖∞ ≤ tolerance · rows or `maxIterations`. One step is one Newton iteration; besides the
 * common metrics it reports `gradient_max`, the ‖gradient‖∞ it started from.
 * Failures: `LABEL_SINGLE_CLASS`, `TRAINER_INPUT_REFUSED`; `TRAINER_DIVERGED` as a step's outcome.
 */
export function trainLogistic(
  request: TrainingRequest<{ kind: 'logistic'; params: LogisticParams }>,
): TrainingStart {
  const { data, state, trainer } = request;
  const { lambda, maxIterations, tolerance } = trainer.params;
  const failure = checkTrainingData(data);
  if (failure !== undefined) return { ok: false, failure };
  const count = columnCount(data.table);
  if (count > MAX_LINEAR_COLUMNS) {
    const message = `${count} columns after one-hot; at most ${MAX_LINEAR_COLUMNS}`;
    return { ok: false, failure: { code: 'TRAINER_INPUT_REFUSED', message } };
  }
  const scales = data.table.numeric.map(standardiseColumn);
  const part: Part = { design: sparseDesign(data.table, scales), labels: data.table.labels };
  const holdout: Part | undefined = data.holdout && {
    design: sparseDesign(data.holdout, scales),
    labels: data.holdout.labels,
  };
  const resumed =
    state?.kind === 'logistic' &&
    state.trainerVersion === LOGISTIC_TRAINER_VERSION &&
    state.weights.length === count
      ? state
      : undefined;
  let w: Float64Array = Float64Array.from(resumed?.weights ?? new Float64Array(count));
  let step = resumed?.step ?? 0;
  const next = (): StepOutcome => {
    if (step >= maxIterations) return { kind: 'finished', step, converged: false };
    const slopes = derivatives(part, w, lambda);
    const { gradientMax } = slopes;
    if (!Number.isFinite(gradientMax)) return divergence(step, 'the gradient is not finite');
    if (gradientMax <= tolerance * part.labels.length)
      return { kind: 'finished', step, converged: true };
    const point = newtonPoint(part, { w, lambda }, slopes);
    if (point === undefined) return divergence(step, 'the Hessian has no finite inverse');
    if (point === w) return { kind: 'finished', step, converged: false };
    w = point;
    step++;
    const held = holdout && holdout.labels.length > 0 ? lossAndAccuracy(holdout, w) : undefined;
    const metrics = {
      log_loss: lossAndAccuracy(part, w).logLoss,
      gradient_max: gradientMax,
      ...(held && { holdout_log_loss: held.logLoss, holdout_accuracy: held.accuracy }),
    };
    return { kind: 'step', step, metrics };
  };
  return {
    ok: true,
    process: {
      next,
      state: () => ({
        kind: 'logistic',
        trainerVersion: LOGISTIC_TRAINER_VERSION,
        step,
        weights: Array.from(w),
      }),
      model: () => logisticModel(data, scales, w),
    },
  };
}
