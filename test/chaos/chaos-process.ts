import { fork, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FromChild, ToChild } from './messages.js';

/** How a process is started. */
export interface ProcessPlan {
  name: string;
  /** TypeScript file, beside this one. */
  entry: string;
  args?: string[] | undefined;
  /** Folder of a tree without types to take the entry from. */
  tree?: string | undefined;
  env: Record<string, string>;
  logFile: string;
}

const LOAD_MS = 180_000;

const entryOf = ({ entry, tree }: ProcessPlan): string =>
  tree === undefined
    ? fileURLToPath(new URL(entry, import.meta.url))
    : join(tree, 'test/chaos', entry.replace(/\.ts$/, '.js'));

/** One process of the harness or of the product under it: signals, calls, failpoints. */
export class ChaosProcess {
  readonly name: string;
  readonly logFile: string;
  readonly #child: ChildProcess;
  readonly #replies = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #loaded = Promise.withResolvers<void>();
  readonly #ready = Promise.withResolvers<void>();
  #lastCall = 0;
  #doomed = false;
  /** Code or signal; set when the process is gone. */
  end: string | undefined;
  /** Settles when the process is gone, however it went. */
  readonly ended: Promise<string>;
  onFailpoint: (hit: { point: string; pass: (answer?: unknown) => void }) => void = ({ pass }) =>
    pass();
  onNote: (note: { name: string; value: unknown }) => void = () => undefined;

  constructor(plan: ProcessPlan) {
    this.name = plan.name;
    this.logFile = plan.logFile;
    const log = openSync(plan.logFile, 'a', 0o600);
    this.#child = fork(entryOf(plan), [...(plan.args ?? [])], {
      env: plan.env,
      execArgv: ['--no-warnings', ...(plan.tree === undefined ? ['--import', 'tsx'] : [])],
      stdio: ['ignore', log, log, 'ipc'],
      serialization: 'advanced',
      // A Ctrl-C of the terminal is for the supervisor, which ends them in order.
      detached: true,
    });
    closeSync(log);
    this.#loaded.promise.catch(() => undefined);
    this.#ready.promise.catch(() => undefined);
    this.#child.on('message', (message: FromChild) => this.#read(message));
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        this.end = signal ?? `code ${code}`;
        const gone = new Error(`${plan.name} ended (${this.end}); see ${plan.logFile}`);
        this.#loaded.reject(gone);
        this.#ready.reject(gone);
        for (const reply of this.#replies.values()) reply.reject(gone);
        resolve(this.end);
      });
    });
  }

  #read(message: FromChild): void {
    if ('ready' in message) this.#ready.resolve();
    else if ('loaded' in message) this.#loaded.resolve();
    else if ('note' in message) this.onNote(message.note);
    else if ('failpoint' in message) {
      const { id, point } = message.failpoint;
      this.onFailpoint({ point, pass: (answer) => this.#send({ pass: { id, answer } }) });
    } else {
      const { id, value, error } = message.reply;
      const reply = this.#replies.get(id);
      this.#replies.delete(id);
      if (error === undefined) reply?.resolve(value);
      else reply?.reject(new Error(`${this.name}: ${error}`));
    }
  }

  #send(message: ToChild): void {
    // One that has just died gets nothing, and nobody has to know.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.end === undefined;
  }

  /** Resolves once the process says that it serves. @throws where it ends before */
  ready(): Promise<void> {
    return this.#inTime(this.#ready.promise, 'is not ready');
  }

  /** Lets a loaded process begin; resolves once it serves. */
  async begin(): Promise<void> {
    await this.#inTime(this.#loaded.promise, 'is not loaded');
    this.#send({ begin: true });
    await this.ready();
  }

  /** Tells the process which failpoints someone waits for. */
  tellArmed(points: string[]): void {
    this.#send({ armed: points });
  }

  /** Asks the process for something. @throws what it threw, or that it is gone */
  call<T>(name: string, input: unknown = undefined): Promise<T> {
    if (this.end !== undefined) return Promise.reject(new Error(`${this.name} is gone`));
    this.#lastCall += 1;
    const id = this.#lastCall;
    const reply = Promise.withResolvers<unknown>();
    this.#replies.set(id, reply);
    this.#send({ call: { id, name, input } });
    return reply.promise as Promise<T>;
  }

  /** Whether it went by itself: nobody of us had sent for it. */
  get died(): boolean {
    return !this.isAlive && !this.#doomed;
  }

  signal(signal: NodeJS.Signals): void {
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') this.#doomed = true;
    if (this.isAlive) this.#child.kill(signal);
  }

  /** SIGKILL, and gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }

  /** SIGTERM, then SIGKILL where that has no effect. */
  async stop(patienceMs = 40_000): Promise<void> {
    if (!this.isAlive) return;
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), patienceMs);
    await this.ended;
    clearTimeout(timer);
  }

  async #inTime(work: Promise<void>, what: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${this.name} ${what} after ${LOAD_MS} ms`)),
        LOAD_MS,
      );
    });
    await Promise.race([work, late]).finally(() => clearTimeout(timer));
  }
}
