import type { TrainedModel } from '../../domain/training/trained-model.js';
import type { TrainFailure, TrainingData } from '../../domain/training/training-process.js';
import type { TrainerSpec } from '../../domain/training/trainer-params.js';
import type { MetricPoint } from '../../domain/training/trainer.js';

/** What a trainer thread starts from. */
export interface ThreadStart {
  data: TrainingData;
  trainer: TrainerSpec;
  /** Bytes of a checkpoint to go on from. */
  checkpoint?: Uint8Array | undefined;
}

/** The only message to a thread: write a checkpoint and end. */
export const STOP = 'stop';

/** Messages of a thread, in the order of its work; the last three are its end. */
export type ThreadMessage =
  | { kind: 'step'; step: number; points: MetricPoint[] }
  | { kind: 'checkpoint'; step: number; bytes: Uint8Array }
  | { kind: 'finished'; step: number; converged: boolean; model: TrainedModel }
  | { kind: 'stopped'; step: number }
  | { kind: 'failed'; step: number; failure: TrainFailure };
