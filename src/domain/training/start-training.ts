import { trainGbt } from './train-gbt.js';
import { trainLogistic } from './train-logistic.js';
import type { TrainingRequest, TrainingStart } from './training-process.js';

/** Steps between two checkpoints. */
export const CHECKPOINT_EVERY_STEPS = 10;

/** Starts, or resumes from `request.state`, the trainer that the request names. */
export function startTraining(request: TrainingRequest): TrainingStart {
  const { data, state, trainer } = request;
  switch (trainer.kind) {
    case 'logistic':
      return trainLogistic({ data, state, trainer });
    case 'gbt':
      return trainGbt({ data, state, trainer });
  }
}
