import { createHash } from 'node:crypto';
import type { Worker } from 'node:worker_threads';
import { PlatformError } from '../../domain/errors.js';
import type {
  CheckpointRef,
  TrainHandle,
  TrainJob,
  Trainer,
  TrainOutput,
  TrainProgress,
  PollOptions,
} from '../../domain/training/trainer.js';
import { LocalRun } from './local-run.js';
import type { ThreadStart } from './thread-protocol.js';

/** Entry of the trainer thread, for the injected `startThread`. */
const trainThreadEntry = new URL('./train.thread', import.meta.url);

// Ended runs stay for a late poll or collect; their models are not kept for ever.
const ENDED_RUNS_KEPT = 16;

export interface LocalTrainerDeps {
  /** Starts a thread from an entry named without its extension. */
  startThread: (entry: URL, data: unknown) => Worker;
  /** Stores checkpoint bytes durably and names them. A failure ends the attempt, which can be retried. */
  saveCheckpoint: (checkpoint: {
    runId: string;
    step: number;
    bytes: Uint8Array;
  }) => Promise<CheckpointRef>;
  /** Bytes of a stored checkpoint; they are checked against its digest here. */
  readCheckpoint: (checkpoint: CheckpointRef) => Promise<Uint8Array>;
}

/** The trainer of this installation: `logistic` and `gbt`, one worker thread per run. */
export interface LocalTrainer extends Trainer {
  /** Ends all threads at once, without a last checkpoint. */
  close(): void;
}

class ThreadTrainer implements LocalTrainer {
  readonly #deps: LocalTrainerDeps;
  readonly #runs = new Map<string, LocalRun>();

  constructor(deps: LocalTrainerDeps) {
    this.#deps = deps;
  }

  async start(job: TrainJob, resumeFrom?: CheckpointRef): Promise<TrainHandle> {
    const { runId } = job;
    const phase = this.#runs.get(runId)?.phase();
    if (phase === 'STARTING' || phase === 'RUNNING' || phase === 'FINISHED') return { runId };
    const run = new LocalRun(
      (step, bytes) => this.#deps.saveCheckpoint({ runId, step, bytes }),
      resumeFrom,
    );
    this.#remember(runId, run);
    try {
      const checkpoint = resumeFrom && (await this.#checkpointBytes(resumeFrom));
      const { table, holdout, classes, trainer } = job;
      const data: ThreadStart = { data: { table, holdout, classes }, trainer, checkpoint };
      run.follow(this.#deps.startThread(trainThreadEntry, data));
    } catch (error) {
      run.fail(error instanceof Error ? error.message : String(error));
      throw error;
    }
    return { runId };
  }

  async poll(handle: TrainHandle, options: PollOptions = {}): Promise<TrainProgress> {
    return this.#run(handle).progress(options);
  }

  async stop(handle: TrainHandle, graceMs: number): Promise<void> {
    await this.#runs.get(handle.runId)?.stop(graceMs);
  }

  async collect(handle: TrainHandle): Promise<TrainOutput> {
    const run = this.#run(handle);
    const output = run.output();
    if (output === undefined) throw new Error(`run ${handle.runId} is ${run.phase()}`);
    return output;
  }

  close(): void {
    for (const run of this.#runs.values()) run.fail('the trainer was closed');
  }

  #run({ runId }: TrainHandle): LocalRun {
    const run = this.#runs.get(runId);
    if (run === undefined) throw new Error(`run ${runId} was not started in this process`);
    return run;
  }

  #remember(runId: string, run: LocalRun): void {
    this.#runs.delete(runId);
    this.#runs.set(runId, run);
    const ended = [...this.#runs].filter(([, other]) => other.isFinal());
    for (const [id] of ended.slice(0, Math.max(0, ended.length - ENDED_RUNS_KEPT)))
      this.#runs.delete(id);
  }

  async #checkpointBytes(checkpoint: CheckpointRef): Promise<Uint8Array> {
    const bytes = await this.#deps.readCheckpoint(checkpoint);
    const actual = createHash('sha256').update(bytes).digest('hex');
    if (actual === checkpoint.sha256) return bytes;
    throw new PlatformError('ARTIFACT_CORRUPT', 'The checkpoint does not match its digest.', {
      internal: `checkpoint ${checkpoint.ref} has sha256 ${actual}`,
    });
  }
}

/**
 * A {@link Trainer} that keeps the event loop free: each run works in a thread of its own and reports every step. A run
 * that this process does not know (after a restart) is started again, from its newest checkpoint.
 */
export const createLocalTrainer = (deps: LocalTrainerDeps): LocalTrainer => new ThreadTrainer(deps);
