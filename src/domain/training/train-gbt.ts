import { binColumns, type BinnedField } from './bin-columns.js';
import { growTree, type TreeGround } from './grow-tree.js';
import {
  columnOf,
  leafValue,
  logLossOf,
  sigmoid,
  type GbtModel,
  type Tree,
} from './trained-model.js';
import type { GbtParams } from './trainer-params.js';
import type { TrainingTable } from './training-table.js';
import {
  checkTrainingData,
  divergence,
  type StepMetrics,
  type StepOutcome,
  type TrainingRequest,
  type TrainingStart,
} from './training-process.js';

/** Raised with every change that can alter a trained bit. */
const GBT_TRAINER_VERSION = 'gbt-1';

/** Log-odds of the rows of one table under the trees so far; leaf values are added tree by tree, in order. */
interface Margins {
  labels: Uint8Array;
  logOdds: Float64Array;
  add(tree: Tree): void;
}

function marginsOf(
  table: TrainingTable,
  fields: readonly BinnedField[],
  baseScore: number,
): Margins {
  const columns = fields.map(({ field }) => columnOf(table, field));
  const logOdds = new Float64Array(table.rowCount).fill(baseScore);
  const row = new Float64Array(columns.length);
  return {
    labels: table.labels,
    logOdds,
    add(tree) {
      for (let i = 0; i < logOdds.length; i++) {
        for (let f = 0; f < columns.length; f++) row[f] = columns[f]?.[i] ?? Number.NaN;
        logOdds[i] = (logOdds[i] ?? 0) + leafValue(tree, row);
      }
    },
  };
}

/** Sets gradient p − y and hessian p(1 − p) of the log-loss. */
function updateSlopes({ labels, logOdds }: Margins, { gradient, hessian }: TreeGround): void {
  for (let i = 0; i < labels.length; i++) {
    const p = sigmoid(logOdds[i] ?? 0);
    gradient[i] = p - (labels[i] ?? 0);
    hessian[i] = p * (1 - p);
  }
}

function lossAndAccuracy({ labels, logOdds }: Margins) {
  let loss = 0;
  let hits = 0;
  for (let i = 0; i < labels.length; i++) {
    const x = logOdds[i] ?? 0;
    const y = labels[i] ?? 0;
    loss += logLossOf(x, y);
    if (x >= 0 === (y === 1)) hits++;
  }
  return { logLoss: loss / labels.length, accuracy: hits / labels.length };
}

function metricsOf(training: Margins, holdout: Margins | undefined): StepMetrics {
  const held = holdout && holdout.labels.length > 0 ? lossAndAccuracy(holdout) : undefined;
  return {
    log_loss: lossAndAccuracy(training).logLoss,
    ...(held && { holdout_log_loss: held.logLoss, holdout_accuracy: held.accuracy }),
  };
}

/** Log-odds of the positive class among the labels; both classes occur. */
function logOddsOfLabels(labels: Uint8Array): number {
  let positives = 0;
  for (const label of labels) positives += label;
  return Math.log(positives / (labels.length - positives));
}

/**
 * Gradient-boosted histogram trees for the log-loss (Friedman, 2001, with the second-order leaves of Chen & Guestrin,
 * 2016): starts at the log-odds of the labels; one step is one tree. An interrupted training resumed from `state`
 * gives the same bits: the margins are rebuilt by the same additions in the same order.
 * Failures: `LABEL_SINGLE_CLASS`, `TRAINER_INPUT_REFUSED`; `TRAINER_DIVERGED` as a step's outcome.
 */
export function trainGbt(
  request: TrainingRequest<{ kind: 'gbt'; params: GbtParams }>,
): TrainingStart {
  const { data, state, trainer } = request;
  const { params } = trainer;
  const failure = checkTrainingData(data);
  if (failure !== undefined) return { ok: false, failure };
  const { table, classes } = data;
  const fields = binColumns(table, params.bins);
  const baseScore = logOddsOfLabels(table.labels);
  const training = marginsOf(table, fields, baseScore);
  const holdout = data.holdout && marginsOf(data.holdout, fields, baseScore);
  const trees: Tree[] = [];
  const resumed =
    state?.kind === 'gbt' && state.trainerVersion === GBT_TRAINER_VERSION ? state.trees : [];
  for (const tree of resumed) {
    trees.push(tree);
    training.add(tree);
    holdout?.add(tree);
  }
  const ground: TreeGround = {
    fields,
    params,
    gradient: new Float64Array(table.rowCount),
    hessian: new Float64Array(table.rowCount),
    rows: new Uint32Array(table.rowCount),
  };
  const next = (): StepOutcome => {
    if (trees.length >= params.trees)
      return { kind: 'finished', step: trees.length, converged: true };
    updateSlopes(training, ground);
    const { nodes, leaves } = growTree(ground);
    if (!leaves.every(({ value }) => Number.isFinite(value)))
      return divergence(trees.length, 'a leaf is not finite');
    trees.push(nodes);
    for (const { value, start, end } of leaves)
      for (let r = start; r < end; r++) {
        const row = ground.rows[r] ?? 0;
        training.logOdds[row] = (training.logOdds[row] ?? 0) + value;
      }
    holdout?.add(nodes);
    const metrics = metricsOf(training, holdout);
    if (!Number.isFinite(metrics.log_loss))
      return divergence(trees.length, 'the loss is not finite');
    return { kind: 'step', step: trees.length, metrics };
  };
  const model = (): GbtModel => ({
    kind: 'gbt',
    trainerVersion: GBT_TRAINER_VERSION,
    classes,
    baseScore,
    fields: fields.map(({ field }) => field),
    trees: [...trees],
  });
  return {
    ok: true,
    process: {
      next,
      state: () => ({
        kind: 'gbt',
        trainerVersion: GBT_TRAINER_VERSION,
        step: trees.length,
        trees: [...trees],
      }),
      model,
    },
  };
}
