import type { Worker } from 'node:worker_threads';
import { PlatformError } from '../../domain/errors.js';
import type { EmbedAnswer, EmbedJob } from './embed-protocol.js';

/** The vectors of one slice; see {@link EmbedAnswer}. */
export interface SliceVectors {
  vectors: Float32Array;
  present: Uint8Array;
}

interface Task {
  texts: readonly string[];
  signal: AbortSignal;
  /** Threads that died with it. */
  crashes: number;
  isSettled: boolean;
  done: (vectors: SliceVectors) => void;
  fail: (error: unknown) => void;
}

interface Slot {
  thread?: Worker | undefined;
  job?: number | undefined;
  task?: Task | undefined;
}

const maxCrashes = 2;

const unavailable = (message: string, internal?: string) =>
  new PlatformError('EMBEDDER_UNAVAILABLE', message, { internal });

/**
 * Threads that embed slices, one slice each at a time; threads start with the first slice. A thread that dies is
 * replaced and its slice given to another once; the second death ends the slice.
 */
export class ThreadPool {
  readonly #slots: Slot[];
  readonly #queue: Task[] = [];
  readonly #start: () => Worker;
  readonly #maxQueued: number;
  #jobs = 0;
  #isClosed = false;

  constructor(of: { start: () => Worker; threads: number; maxQueued: number }) {
    this.#start = of.start;
    this.#maxQueued = of.maxQueued;
    this.#slots = Array.from({ length: of.threads }, () => ({}));
  }

  /** Slices that wait for a thread. */
  get queued(): number {
    return this.#queue.length;
  }

  /** Whether `slices` more may wait. */
  hasRoom(slices: number): boolean {
    return this.#queue.length + slices <= this.#maxQueued;
  }

  /** @throws PlatformError EMBEDDER_UNAVAILABLE; the reason of `signal` once it is aborted */
  run(texts: readonly string[], signal: AbortSignal): Promise<SliceVectors> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      if (this.#isClosed) throw unavailable('the embedder is closed');
      const onAbort = () => task.fail(signal.reason);
      const settle = (end: () => void) => {
        task.isSettled = true;
        signal.removeEventListener('abort', onAbort);
        const at = this.#queue.indexOf(task);
        if (at >= 0) this.#queue.splice(at, 1);
        end();
      };
      const task: Task = {
        texts,
        signal,
        crashes: 0,
        isSettled: false,
        done: (vectors) => settle(() => resolve(vectors)),
        fail: (error) =>
          settle(() => reject(error instanceof Error ? error : new Error(String(error)))),
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(task);
      this.#pump();
    });
  }

  /** Ends the threads; slices that wait or run fail. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const threads = this.#slots.flatMap(({ thread }) => thread ?? []);
    const tasks = [...this.#queue, ...this.#slots.flatMap(({ task }) => task ?? [])];
    for (const task of tasks) if (!task.isSettled) task.fail(unavailable('the embedder is closed'));
    await Promise.all(threads.map((thread) => thread.terminate()));
  }

  #pump(): void {
    for (const slot of this.#slots) {
      if (slot.task !== undefined || this.#isClosed) continue;
      const task = this.#queue.shift();
      if (task === undefined) return;
      slot.task = task;
      slot.job = this.#jobs++;
      const job: EmbedJob = { job: slot.job, texts: task.texts };
      this.#threadOf(slot).postMessage(job);
    }
  }

  #threadOf(slot: Slot): Worker {
    if (slot.thread) return slot.thread;
    const thread = this.#start();
    slot.thread = thread;
    let reason = 'ended';
    thread.on('message', (answer: EmbedAnswer) => this.#onAnswer(slot, answer));
    thread.on('error', (error) => {
      reason = String(error);
    });
    thread.once('exit', () => this.#onExit(slot, reason));
    // The process may end while threads idle; close() is for those that want it sooner.
    thread.unref();
    return thread;
  }

  #onAnswer(slot: Slot, answer: EmbedAnswer): void {
    const { task } = slot;
    if (task === undefined || slot.job !== answer.job) return;
    slot.task = undefined;
    // A caller that gave up has its answer already.
    if (!task.isSettled) {
      if ('error' in answer) task.fail(unavailable('the embedder failed', answer.error));
      else task.done(answer);
    }
    this.#pump();
  }

  #onExit(slot: Slot, reason: string): void {
    const { task } = slot;
    slot.thread = undefined;
    slot.task = undefined;
    if (task !== undefined && !task.isSettled) {
      task.crashes++;
      if (task.crashes < maxCrashes) this.#queue.unshift(task);
      else task.fail(unavailable('the embedding thread died', reason));
    }
    if (!this.#isClosed) this.#pump();
  }
}
