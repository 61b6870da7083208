import { startTraining } from '../../src/domain/training/start-training.js';
import type { TrainedModel } from '../../src/domain/training/trained-model.js';
import { parseTrainerParams, type TrainerSpec } from '../../src/domain/training/trainer-params.js';
import type {
  StepOutcome,
  TrainerState,
  TrainingData,
  TrainingProcess,
} from '../../src/domain/training/training-process.js';
import {
  createTableBuilder,
  type FeatureField,
  type RawRow,
  type TrainingTable,
} from '../../src/domain/training/training-table.js';

/** A trainer with these parameters, the defaults for the rest; throws where they are refused. */
export function trainerSpec(kind: 'logistic' | 'gbt', params: object = {}): TrainerSpec {
  const parsed = parseTrainerParams(kind, params);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return parsed.trainer;
}

/** Rows as a training table, in the codes of `like` if given; throws where they are refused. */
export function tableOf(
  fields: readonly FeatureField[],
  data: { rows: readonly RawRow[]; labels: readonly boolean[] },
  like?: TrainingTable,
): TrainingTable {
  const builder = createTableBuilder(fields, like);
  for (const [at, row] of data.rows.entries()) builder.add(row, data.labels[at] ?? false);
  const built = builder.finish();
  if (!built.ok) throw new Error(JSON.stringify(built.errors));
  return built.table;
}

/** Starts a training; throws where the data are refused. */
export function processOf(
  data: TrainingData,
  trainer: TrainerSpec,
  state?: TrainerState,
): TrainingProcess {
  const started = startTraining({ data, trainer, state });
  if (!started.ok) throw new Error(started.failure.code);
  return started.process;
}

/** Runs a training to its end, or until `steps` steps are done; returns every outcome. */
export function runSteps(
  process: TrainingProcess,
  steps = Number.POSITIVE_INFINITY,
): StepOutcome[] {
  const outcomes: StepOutcome[] = [];
  while (outcomes.length < steps) {
    const outcome = process.next();
    outcomes.push(outcome);
    if (outcome.kind !== 'step') break;
  }
  return outcomes;
}

/** Trains to the end and returns the model. */
export function trainModel(data: TrainingData, trainer: TrainerSpec): TrainedModel {
  const process = processOf(data, trainer);
  runSteps(process);
  return process.model();
}
