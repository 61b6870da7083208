import type { ChildProcess } from 'node:child_process';
import { ProviderFailure, type SlotHealth } from '../../domain/inference/runtime.js';
import type { ChildNotice, ChildRefusal, ChildReply, ChildTask } from './child-protocol.js';

const FIRST_RESTART_DELAY_MS = 50;
const MAX_RESTART_DELAY_MS = 5_000;

export interface SlotDeps {
  /** Starts a child process that serves the child protocol. */
  spawn(): ChildProcess;
  /** The slot can take a task: after its start, after each task, after each restart (with an empty memory). */
  onIdle(slot: RuntimeSlot, fresh: boolean): void;
  /** The installation has no runtime; the slot stays closed. */
  onUnavailable(reason: string): void;
}

interface Pending {
  id: number;
  resolve(this: void, reply: ChildReply): void;
  reject(this: void, error: ProviderFailure): void;
  timer: NodeJS.Timeout;
}

const refusals = {
  corrupt: (message) => new ProviderFailure('binding', message, { code: 'ARTIFACT_CORRUPT' }),
  missing: (message) => new ProviderFailure('server', message, { code: 'STORE_UNAVAILABLE' }),
  unloadable: (message) => new ProviderFailure('binding', message, { code: 'ARTIFACT_CORRUPT' }),
  not_loaded: (message) => new ProviderFailure('server', `model not loaded: ${message}`),
  run_failed: (message) => new ProviderFailure('server', message),
} satisfies Record<ChildRefusal, (message: string) => ProviderFailure>;

/**
 * One child process and its replacements. States: starting → idle ⇄ busy; a child that dies or is killed fails the
 * task it had, then backing_off → starting; close ends it for good.
 */
export class RuntimeSlot {
  readonly #deps: SlotDeps;
  #state: SlotHealth['state'] = 'starting';
  #child: ChildProcess | undefined;
  #pending: Pending | undefined;
  #restarts = 0;
  #deathsInARow = 0;
  #lastId = 0;
  #restartTimer: NodeJS.Timeout | undefined;

  constructor(deps: SlotDeps) {
    this.#deps = deps;
    this.#start();
  }

  health(): SlotHealth {
    return { state: this.#state, pid: this.#child?.pid, restarts: this.#restarts };
  }

  isIdle(): boolean {
    return this.#state === 'idle';
  }

  /**
   * Runs one task; only while idle. Rejects with `timeout` after killing the child at `timeoutMs`, with `server` if the
   * child dies, and with the class of the refusal if the child refuses.
   */
  run(task: ChildTask, timeoutMs: number): Promise<ChildReply> {
    const { promise, resolve, reject } = Promise.withResolvers<ChildReply>();
    const id = ++this.#lastId;
    this.#state = 'busy';
    const timer = setTimeout(() => this.#onTimeout(timeoutMs), timeoutMs);
    this.#pending = { id, resolve, reject, timer };
    // A message that cannot be sent means a dead child: its exit follows and ends the task.
    this.#child?.send({ ...task, id }, () => undefined);
    return promise;
  }

  /** Kills the child; a running task fails. */
  close(): void {
    this.#state = 'closed';
    clearTimeout(this.#restartTimer);
    this.#take()?.reject(new ProviderFailure('server', 'the runtime was closed'));
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }

  #start(): void {
    this.#state = 'starting';
    const started = this.#deps.spawn();
    this.#child = started;
    started.on('message', (message: ChildReply | ChildNotice) => {
      if (this.#child === started) this.#onMessage(message);
    });
    started.once('error', (error) => {
      if (this.#child === started) this.#onDeath(error.message);
    });
    started.once('exit', (code, signal) => {
      if (this.#child === started) this.#onDeath(signal ?? `exit code ${code ?? 'unknown'}`);
    });
  }

  #take(): Pending | undefined {
    const taken = this.#pending;
    this.#pending = undefined;
    if (taken) clearTimeout(taken.timer);
    return taken;
  }

  #onMessage(message: ChildReply | ChildNotice): void {
    if (message.kind === 'unavailable') {
      this.close();
      this.#deps.onUnavailable(message.message);
      return;
    }
    if (message.kind === 'ready') {
      this.#state = 'idle';
      this.#deps.onIdle(this, true);
      return;
    }
    if (this.#pending?.id !== message.id) return;
    const pending = this.#take();
    this.#deathsInARow = 0;
    this.#state = 'idle';
    if (message.kind === 'refused') pending?.reject(refusals[message.refusal](message.message));
    else pending?.resolve(message);
    this.#deps.onIdle(this, false);
  }

  #onDeath(reason: string): void {
    this.#child = undefined;
    this.#state = 'backing_off';
    this.#restarts++;
    this.#take()?.reject(new ProviderFailure('server', `the runtime process died: ${reason}`));
    // The first restart is at once; a child that keeps dying must not eat the machine.
    const delay = this.#deathsInARow === 0 ? 0 : FIRST_RESTART_DELAY_MS * 2 ** this.#deathsInARow;
    this.#deathsInARow++;
    this.#restartTimer = setTimeout(() => this.#start(), Math.min(delay, MAX_RESTART_DELAY_MS));
  }

  #onTimeout(timeoutMs: number): void {
    this.#take()?.reject(new ProviderFailure('timeout', `no answer within ${timeoutMs} ms`));
    // A native call cannot be interrupted; its process can.
    this.#child?.kill('SIGKILL');
  }
}
