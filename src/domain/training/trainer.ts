import type { ModelClasses, TrainedModel } from './trained-model.js';
import type { TrainerSpec } from './trainer-params.js';
import type { TrainFailure } from './training-process.js';
import type { TrainingTable } from './training-table.js';

/** A stored checkpoint: `sha256` is the hex digest of its bytes, `ref` where they lie. */
export interface CheckpointRef {
  step: number;
  ref: string;
  sha256: string;
}

/** A training to be done. Equal data, parameters, seed and trainer version give an equal model. */
export interface TrainJob {
  runId: string;
  trainer: TrainerSpec;
  /** Recorded with the run; the trainers of this installation throw no dice. */
  seed: number;
  classes: ModelClasses;
  table: TrainingTable;
  /** Held-out rows in the columns and codes of `table`; scored after each step. */
  holdout?: TrainingTable | undefined;
}

/** Names a started training; the job's run id. */
export interface TrainHandle {
  runId: string;
}

/** STARTING and RUNNING go on; the other three are final. */
export type Phase = 'STARTING' | 'RUNNING' | 'FINISHED' | 'STOPPED' | 'FAILED';

/** One metric value at one step. */
export interface MetricPoint {
  name: string;
  step: number;
  value: number;
}
type Metrics = readonly MetricPoint[];

/** What a training has used so far in this attempt. */
export interface Usage {
  wallClockMs: number;
  gpuMs: number;
}

/** State of a training at a poll. */
export interface TrainProgress {
  phase: Phase;
  /** Finished iterations or trees, those before a resume included. */
  step: number;
  /** Points of steps after `afterStep` of the poll. */
  metrics: Metrics;
  /** Newest checkpoint; stored before it is named here. */
  checkpoint?: CheckpointRef | undefined;
  usage: Usage;
  /** Set in phase FAILED; `retryable` where another attempt may succeed. */
  failure?: (TrainFailure & { retryable: false }) | TrainerCrash | undefined;
}

/** The trainer itself broke (killed, out of memory, checkpoint store away): another attempt may succeed. */
interface TrainerCrash {
  code: 'OPERATION_FAILED';
  message: string;
  retryable: true;
}

export interface PollOptions {
  /** Only metrics of later steps are returned; 0 by default. */
  afterStep?: number | undefined;
  /** Waits up to so long for a new checkpoint or a final phase; 0 by default. */
  waitMs?: number | undefined;
}

/** A finished training. */
export interface TrainOutput {
  model: TrainedModel;
  step: number;
  /** False where a limit of iterations ended it. */
  converged: boolean;
  metrics: Metrics;
  usage: Usage;
  /** Newest checkpoint of the run, if there was one. */
  checkpoint?: CheckpointRef | undefined;
}

/** Runs trainings. Idempotent by `job.runId`: a second start adopts the running job. */
export interface Trainer {
  /**
   * Starts a job, from a checkpoint if one is given. A checkpoint whose bytes do not match its digest is an error
   * before anything runs. A run that was stopped or failed starts again.
   */
  start(job: TrainJob, resumeFrom?: CheckpointRef): Promise<TrainHandle>;
  /** State now; see {@link PollOptions}. */
  poll(handle: TrainHandle, options?: PollOptions): Promise<TrainProgress>;
  /** Asks for a last checkpoint and ends the training, at the latest after `graceMs`. Safe to repeat. */
  stop(handle: TrainHandle, graceMs: number): Promise<void>;
  /** The output of a FINISHED training, any number of times; throws in other phases. */
  collect(handle: TrainHandle): Promise<TrainOutput>;
}
