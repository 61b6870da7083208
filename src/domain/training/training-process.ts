import type { FieldError } from '../errors.js';
import type { ModelClasses, TrainedModel, Tree } from './trained-model.js';
import type { TrainerSpec } from './trainer-params.js';
import { MAX_CATEGORIES, type TrainingTable } from './training-table.js';

/** What a trainer works on. `holdout` has the columns and category codes of `table`. */
export interface TrainingData {
  table: TrainingTable;
  holdout?: TrainingTable | undefined;
  /** Names of the negative and the positive class, written into the model. */
  classes: ModelClasses;
}

/** A training that cannot go on; none of these is cured by a retry. */
export interface TrainFailure {
  code: 'LABEL_SINGLE_CLASS' | 'TRAINER_INPUT_REFUSED' | 'TRAINER_DIVERGED' | 'PARAMETER_INVALID';
  message: string;
  errors?: FieldError[] | undefined;
}

/** Values by metric name: `log_loss`, where a holdout is given `holdout_log_loss`, `holdout_accuracy`; more by trainer. */
export type StepMetrics = Readonly<Record<string, number>>;

/** Outcome of one step. `step` counts finished iterations or trees; after `finished` and `diverged` there is no more. */
export type StepOutcome =
  | { kind: 'step'; step: number; metrics: StepMetrics }
  | { kind: 'finished'; step: number; converged: boolean }
  | { kind: 'diverged'; step: number; failure: TrainFailure };

/** What a training needs to go on as if it had never stopped: plain data, kept bit for bit by JSON. */
export type TrainerState =
  | { kind: 'logistic'; trainerVersion: string; step: number; weights: readonly number[] }
  | { kind: 'gbt'; trainerVersion: string; step: number; trees: readonly Tree[] };

/** A training in progress: call `next` until it says finished or diverged. Deterministic; holds no clock, no dice. */
export interface TrainingProcess {
  /** Does the next iteration or tree. */
  next(): StepOutcome;
  /** State after the last finished step. */
  state(): TrainerState;
  /** Model after the last finished step. */
  model(): TrainedModel;
}

export type TrainingStart =
  { ok: true; process: TrainingProcess } | { ok: false; failure: TrainFailure };

/** Everything a trainer starts from; `state` resumes an interrupted training of the same data and parameters. */
export interface TrainingRequest<Spec extends TrainerSpec = TrainerSpec> {
  data: TrainingData;
  trainer: Spec;
  state?: TrainerState | undefined;
}

/** Refuses what no trainer can learn from: no rows, no columns, columns of another length, or one class only. */
export function checkTrainingData({ table, holdout }: TrainingData): TrainFailure | undefined {
  const refuse = (message: string): TrainFailure => ({ code: 'TRAINER_INPUT_REFUSED', message });
  if (table.rowCount === 0) return refuse('there are no training rows');
  if (table.numeric.length + table.categorical.length === 0)
    return refuse('there are no input fields');
  for (const part of holdout === undefined ? [table] : [table, holdout]) {
    const lengths = [
      part.labels.length,
      ...part.numeric.map(({ values }) => values.length),
      ...part.categorical.map(({ codes }) => codes.length),
    ];
    if (lengths.some((length) => length !== part.rowCount))
      return refuse('columns differ in length');
  }
  for (const { name, codes, categories } of table.categorical) {
    if (categories.length > MAX_CATEGORIES)
      return refuse(`${name} has ${categories.length} categories; at most ${MAX_CATEGORIES}`);
    if (codes.some((code) => code < 0 || code >= categories.length))
      return refuse(`${name} holds a code without a category`);
  }
  let positives = 0;
  for (const label of table.labels) positives += label;
  if (positives === 0 || positives === table.rowCount)
    return {
      code: 'LABEL_SINGLE_CLASS',
      message: `all ${table.rowCount} training rows are of one class`,
    };
  return undefined;
}

/** The failure of a training whose numbers left the finite range. */
export const divergence = (step: number, what: string): StepOutcome => ({
  kind: 'diverged',
  step,
  failure: { code: 'TRAINER_DIVERGED', message: `${what} at step ${step + 1}` },
});
