import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import type { ParseLimits } from '../../domain/etl/parser.js';
import {
  PROGRESS_BYTES,
  readProgress,
  type ParserNotice,
  type ParserTask,
  type Progress,
} from './child-protocol.js';

const TICK_MS = 50;
const PAGE_BYTES = 4096;
const MAX_FAILED_STARTS = 5;

/** Why a child ended in the middle of a task. */
export type KillCause = 'wall' | 'rss' | 'crash' | 'cancelled';

/** How a task ended: done, or its child died with the document at `index` in its hands. */
export type TaskEnd =
  { kind: 'done' } | { kind: 'killed'; cause: KillCause; index: number; elapsedMs: number };

export interface SlotDeps {
  spawn: (progressFile: string) => ChildProcess;
  progressFile: string;
  limits: ParseLimits;
}

interface Running {
  task: ParserTask;
  end: (end: TaskEnd) => void;
  timer: NodeJS.Timeout;
  index: number;
  /** When the document at `index` began, and how long it may take. */
  since: number;
  earlierMs: number;
  cause: KillCause;
}

/** Resident memory of a process in bytes; 0 where the system has no `/proc`. */
function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1] ?? 0) * PAGE_BYTES;
  } catch {
    return 0;
  }
}

/** One child process and its replacements. It runs one task at a time and watches time and memory of each document. */
export class ParserSlot {
  readonly #deps: SlotDeps;
  #child: ChildProcess | undefined;
  #ready = Promise.withResolvers<void>();
  #isSettled = true;
  #running: Running | undefined;
  #progress: { file: number; bytes: Buffer } | undefined;
  #failedStarts = 0;
  #isClosed = false;

  constructor(deps: SlotDeps) {
    this.#deps = deps;
    this.#start();
  }

  /**
   * Runs one task; the slot must be free.
   * @param earlierMs what earlier attempts at its only document have used of its time
   * @throws Error where no child can be started
   */
  async run(task: ParserTask, earlierMs: number, signal: AbortSignal): Promise<TaskEnd> {
    if (this.#child === undefined) this.#start();
    await this.#ready.promise;
    if (signal.aborted) return { kind: 'killed', cause: 'cancelled', index: 0, elapsedMs: 0 };
    const { promise, resolve } = Promise.withResolvers<TaskEnd>();
    const timer = setInterval(() => this.#watch(), TICK_MS);
    const since = performance.now();
    this.#running = { task, end: resolve, timer, index: 0, since, earlierMs, cause: 'crash' };
    // A message that cannot be sent means a dead child: its exit follows and ends the task.
    this.#child?.send(task, () => undefined);
    return promise;
  }

  /** Ends the running task, if it is one of these. */
  cancel(isMine: (task: ParserTask) => boolean): void {
    if (this.#running !== undefined && isMine(this.#running.task)) this.#kill('cancelled');
  }

  /** Replaces the child by a fresh one; only while no task runs. */
  retire(): void {
    const old = this.#child;
    this.#child = undefined;
    old?.kill('SIGKILL');
    this.#start();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const child = this.#child;
    const isGone = child === undefined || child.exitCode !== null || child.signalCode !== null;
    const exit = isGone ? undefined : new Promise((resolve) => child.once('exit', resolve));
    child?.kill('SIGKILL');
    await exit;
    this.#closeProgress();
  }

  #start(): void {
    if (this.#isClosed) return;
    // Who waits for a child waits for whichever comes up.
    if (this.#isSettled) this.#ready = Promise.withResolvers<void>();
    this.#isSettled = false;
    // Whoever runs the next task hears of a failure; nobody may be waiting yet.
    this.#ready.promise.catch(() => undefined);
    this.#closeProgress();
    writeFileSync(this.#deps.progressFile, Buffer.alloc(PROGRESS_BYTES));
    const child = this.#deps.spawn(this.#deps.progressFile);
    this.#child = child;
    child.on('message', (notice: ParserNotice) => {
      if (this.#child === child) this.#onNotice(notice);
    });
    child.once('error', () => this.#onExit(child));
    child.once('exit', () => this.#onExit(child));
  }

  #onNotice(notice: ParserNotice): void {
    if (notice.kind === 'ready') {
      this.#failedStarts = 0;
      this.#progress = {
        file: openSync(this.#deps.progressFile, 'r'),
        bytes: Buffer.alloc(PROGRESS_BYTES),
      };
      this.#isSettled = true;
      this.#ready.resolve();
    } else if (this.#running?.task.id === notice.id) this.#finish({ kind: 'done' });
  }

  #onExit(child: ChildProcess): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    const running = this.#running;
    const { index } = this.#readProgress();
    if (running === undefined && ++this.#failedStarts >= MAX_FAILED_STARTS) {
      this.#isSettled = true;
      this.#ready.reject(new Error('the parser process does not start'));
      this.#failedStarts = 0;
      return;
    }
    this.#start();
    if (running === undefined) return;
    const elapsedMs = performance.now() - running.since;
    this.#finish({ kind: 'killed', cause: running.cause, index, elapsedMs });
  }

  #finish(end: TaskEnd): void {
    const running = this.#running;
    this.#running = undefined;
    clearInterval(running?.timer);
    running?.end(end);
  }

  #kill(cause: KillCause): void {
    if (this.#running) this.#running.cause = cause;
    // A parser that hangs hears nothing else.
    this.#child?.kill('SIGKILL');
  }

  #watch(): void {
    const running = this.#running;
    const pid = this.#child?.pid;
    if (running === undefined || pid === undefined) return;
    const { limits } = this.#deps;
    const { index, pages } = this.#readProgress();
    if (index !== running.index) {
      running.index = index;
      running.since = performance.now();
    }
    const allowed = Math.min(limits.maxWallMs, limits.wallMs + pages * limits.wallPerPageMs);
    if (performance.now() - running.since + running.earlierMs > allowed) this.#kill('wall');
    else if (residentBytes(pid) > limits.rssBytes) this.#kill('rss');
  }

  /** Where the child is in the running task; at its first document while it has not said otherwise. */
  #readProgress(): Pick<Progress, 'index' | 'pages'> {
    if (this.#progress === undefined) return { index: 0, pages: 0 };
    readSync(this.#progress.file, this.#progress.bytes, 0, PROGRESS_BYTES, 0);
    const progress = readProgress(this.#progress.bytes);
    return progress.task === this.#running?.task.id ? progress : { index: 0, pages: 0 };
  }

  #closeProgress(): void {
    if (this.#progress !== undefined) closeSync(this.#progress.file);
    this.#progress = undefined;
  }
}
