import type { ChildProcess } from 'node:child_process';
import { ProviderFailure, type SlotHealth } from '../../domain/inference/runtime.js';
import type { ChildReply, ChildTask } from './child-protocol.js';
import { RuntimeSlot, type SlotDeps } from './runtime-slot.js';

/** What runs on a slot while it is taken: tasks one after the other. */
export type SlotJob<T> = (slot: RuntimeSlot) => Promise<T>;

export interface SlotPoolDeps {
  slots: number;
  /** Waiting calls; one more is refused with `overload`. */
  maxQueue: number;
  spawn(this: void): ChildProcess;
  /** A slot came up with an empty memory. */
  onFresh(this: void, slot: RuntimeSlot): void;
}

interface Waiting {
  start(this: void, slot: RuntimeSlot): Promise<void>;
  fail(this: void, error: unknown): void;
}

function waitingJob<T>(job: SlotJob<T>) {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const waiting: Waiting = {
    start: (slot) => job(slot).then(resolve, reject),
    fail: reject,
  };
  return { promise, waiting };
}

/** Fixed number of child processes, a bounded first-in first-out queue in front of all of them, and one per slot. */
export class SlotPool {
  readonly slots: readonly RuntimeSlot[];
  readonly #maxQueue: number;
  readonly #own = new Map<RuntimeSlot, Waiting[]>();
  readonly #taken = new Set<RuntimeSlot>();
  #queue: Waiting[] = [];
  #end: ProviderFailure | undefined;
  #unavailable: string | undefined;

  constructor({ slots, maxQueue, spawn, onFresh }: SlotPoolDeps) {
    this.#maxQueue = maxQueue;
    const deps: SlotDeps = {
      spawn,
      onIdle: (slot, fresh) => {
        if (fresh) onFresh(slot);
        this.#serve(slot);
      },
      onUnavailable: (reason) => {
        this.#unavailable = reason;
        this.#endWith(new ProviderFailure('binding', reason, { code: 'RUNTIME_UNAVAILABLE' }));
      },
    };
    this.slots = Array.from({ length: slots }, () => new RuntimeSlot(deps));
    for (const slot of this.slots) this.#own.set(slot, []);
  }

  /**
   * Runs a job on the first free slot. Rejects with `overload` where the queue is full, `timeout` where no slot came
   * free in time, the signal's reason where it aborts while the job waits, and what the job rejects with.
   */
  async submit<T>(
    job: SlotJob<T>,
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
  ): Promise<T> {
    signal.throwIfAborted();
    if (this.#end) throw this.#end;
    const free = this.slots.find((slot) => slot.isIdle() && !this.#taken.has(slot));
    if (free === undefined && this.#queue.length >= this.#maxQueue)
      throw new ProviderFailure('overload', `${this.#queue.length} calls wait already`);
    const { promise, waiting } = waitingJob(job);
    const leave = (error: unknown): void => {
      const before = this.#queue.length;
      this.#queue = this.#queue.filter((other) => other !== waiting);
      if (this.#queue.length < before) waiting.fail(error);
    };
    const timer = setTimeout(() => {
      leave(new ProviderFailure('timeout', `no slot came free within ${timeoutMs} ms`));
    }, timeoutMs);
    const onAbort = (): void => leave(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#queue.push(waiting);
    if (free) this.#serve(free);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Runs a job on this slot, ahead of waiting calls; not counted by the queue. */
  async submitTo<T>(slot: RuntimeSlot, job: SlotJob<T>): Promise<T> {
    if (this.#end) throw this.#end;
    const { promise, waiting } = waitingJob(job);
    this.#own.get(slot)?.push(waiting);
    this.#serve(slot);
    return promise;
  }

  queueDepth(): number {
    return this.#queue.length;
  }

  /** Why there is no runtime in this installation, where there is none. */
  unavailable(): string | undefined {
    return this.#unavailable;
  }

  health(): SlotHealth[] {
    return this.slots.map((slot) => slot.health());
  }

  /** Ends all children; waiting and running jobs fail. */
  close(): void {
    this.#endWith(new ProviderFailure('server', 'the runtime was closed'));
  }

  #endWith(failure: ProviderFailure): void {
    this.#end = failure;
    for (const slot of this.slots) slot.close();
    const waiting = [...this.#queue, ...[...this.#own.values()].flat()];
    this.#queue = [];
    for (const own of this.#own.values()) own.length = 0;
    for (const { fail } of waiting) fail(failure);
  }

  #serve(slot: RuntimeSlot): void {
    if (!slot.isIdle() || this.#taken.has(slot)) return;
    const next = this.#own.get(slot)?.shift() ?? this.#queue.shift();
    if (next === undefined) return;
    this.#taken.add(slot);
    void next.start(slot).finally(() => {
      this.#taken.delete(slot);
      this.#serve(slot);
    });
  }
}

/** A reply of the kind that a task asks for; anything else is a fault of the child. */
export async function runTask<K extends ChildReply['kind']>(
  slot: RuntimeSlot,
  task: ChildTask,
  expected: { kind: K; timeoutMs: number },
): Promise<Extract<ChildReply, { kind: K }>> {
  if (!slot.isIdle()) throw new ProviderFailure('server', 'the runtime process died');
  const reply = await slot.run(task, expected.timeoutMs);
  if (reply.kind !== expected.kind)
    throw new ProviderFailure('server', `the runtime answered ${reply.kind}`);
  return reply as Extract<ChildReply, { kind: K }>;
}
