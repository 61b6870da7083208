import type { Worker } from 'node:worker_threads';
import type {
  CheckpointRef,
  MetricPoint,
  Phase,
  PollOptions,
  TrainOutput,
  TrainProgress,
  Usage,
} from '../../domain/training/trainer.js';
import { STOP, type ThreadMessage } from './thread-protocol.js';

/** Stores a checkpoint of a run and names it; only then it is reported. */
export type SaveCheckpoint = (step: number, bytes: Uint8Array) => Promise<CheckpointRef>;

const isFinal = (phase: Phase): boolean =>
  phase === 'FINISHED' || phase === 'STOPPED' || phase === 'FAILED';

/**
 * One training in one thread. STARTING → RUNNING → FINISHED | STOPPED | FAILED; a final phase is entered after all
 * checkpoints before it are stored.
 */
export class LocalRun {
  readonly #save: SaveCheckpoint;
  readonly #startedAt = performance.now();
  readonly #points: MetricPoint[] = [];
  #wallClockMs: number | undefined;
  #thread: Worker | undefined;
  #phase: Phase = 'STARTING';
  #step = 0;
  #checkpoint: CheckpointRef | undefined;
  #failure: TrainProgress['failure'];
  #output: Pick<TrainOutput, 'model' | 'converged'> | undefined;
  // Messages are handled one after the other, so that a checkpoint is stored before what follows it is known.
  #handled: Promise<void> = Promise.resolve();
  #changed = Promise.withResolvers<void>();

  constructor(save: SaveCheckpoint, resumedFrom: CheckpointRef | undefined) {
    this.#save = save;
    this.#checkpoint = resumedFrom;
    this.#step = resumedFrom?.step ?? 0;
  }

  /** Follows a thread to its end. */
  follow(thread: Worker): void {
    if (this.isFinal()) {
      void thread.terminate();
      return;
    }
    this.#thread = thread;
    thread.on('message', (message: ThreadMessage) => this.#enqueue(() => this.#onMessage(message)));
    thread.once('error', (error: Error) => this.#enqueue(() => this.#crash(error.message)));
    thread.once('exit', () => this.#enqueue(() => this.#crash('the trainer thread ended early')));
  }

  isFinal(): boolean {
    return isFinal(this.#phase);
  }

  phase(): Phase {
    return this.#phase;
  }

  /** Ends the run as one that broke; another attempt may succeed. */
  fail(message: string): void {
    this.#crash(message);
  }

  async progress({ afterStep = 0, waitMs = 0 }: PollOptions): Promise<TrainProgress> {
    if (waitMs > 0 && !this.isFinal()) await this.#change(waitMs);
    return {
      phase: this.#phase,
      step: this.#step,
      metrics: this.#points.filter(({ step }) => step > afterStep),
      checkpoint: this.#checkpoint,
      usage: this.#usage(),
      failure: this.#failure,
    };
  }

  async stop(graceMs: number): Promise<void> {
    this.#thread?.postMessage(STOP);
    const deadline = performance.now() + graceMs;
    while (!this.isFinal() && performance.now() < deadline)
      await this.#change(deadline - performance.now());
    if (!this.isFinal()) this.#end('STOPPED');
  }

  output(): TrainOutput | undefined {
    if (this.#phase !== 'FINISHED' || this.#output === undefined) return undefined;
    return {
      ...this.#output,
      step: this.#step,
      metrics: [...this.#points],
      usage: this.#usage(),
      checkpoint: this.#checkpoint,
    };
  }

  #usage(): Usage {
    return { wallClockMs: this.#wallClockMs ?? performance.now() - this.#startedAt, gpuMs: 0 };
  }

  /** Waits for the next checkpoint or the end, at most so long. */
  async #change(waitMs: number): Promise<void> {
    const { promise: elapsed, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    await Promise.race([this.#changed.promise, elapsed]);
    clearTimeout(timer);
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #enqueue(handle: () => void | Promise<void>): void {
    this.#handled = this.#handled.then(handle).catch((error: unknown) => {
      this.#crash(error instanceof Error ? error.message : String(error));
    });
  }

  async #onMessage(message: ThreadMessage): Promise<void> {
    if (this.isFinal()) return;
    this.#step = message.step;
    switch (message.kind) {
      case 'step':
        this.#phase = 'RUNNING';
        this.#points.push(...message.points);
        return;
      case 'checkpoint':
        this.#checkpoint = await this.#save(message.step, message.bytes);
        this.#notify();
        return;
      case 'finished':
        this.#output = { model: message.model, converged: message.converged };
        return this.#end('FINISHED');
      case 'stopped':
        return this.#end('STOPPED');
      case 'failed':
        this.#failure = { ...message.failure, retryable: false };
        return this.#end('FAILED');
    }
  }

  #crash(message: string): void {
    if (this.isFinal()) return;
    this.#failure = { code: 'OPERATION_FAILED', message, retryable: true };
    this.#end('FAILED');
  }

  #end(phase: Phase): void {
    if (this.isFinal()) return;
    this.#phase = phase;
    this.#wallClockMs = performance.now() - this.#startedAt;
    void this.#thread?.terminate();
    this.#thread = undefined;
    this.#notify();
  }
}
