import type { TrainerState } from '../../domain/training/training-process.js';
import type { MetricPoint } from '../../domain/training/trainer.js';

/** What a checkpoint holds: the trainer's state, and the metrics so far, so that a crash leaves no gap in them. */
export interface Checkpoint {
  state: TrainerState;
  points: MetricPoint[];
}

/** A checkpoint as stored: UTF-8 JSON, which keeps every bit of a float64. */
export const encodeCheckpoint = (checkpoint: Checkpoint): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(checkpoint));

/** A stored checkpoint, whose digest the caller has checked. */
export const decodeCheckpoint = (bytes: Uint8Array): Checkpoint =>
  JSON.parse(new TextDecoder().decode(bytes)) as Checkpoint;
