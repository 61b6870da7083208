import type { ChildProcess } from 'node:child_process';
import type { Digest } from '../../domain/ids.js';
import {
  GOLDEN_TOLERANCE,
  labelOf,
  ProviderFailure,
  type Capabilities,
  type Health,
  type ModelRuntime,
  type PredictCall,
  type PredictResult,
  type Ready,
  type RuntimeVersion,
} from '../../domain/inference/runtime.js';
import type { RawRow } from '../../domain/training/training-table.js';
import { encodeRows } from './encode-rows.js';
import {
  createResidentModels,
  type ResidentModel,
  type ResidentModels,
} from './resident-models.js';
import type { RuntimeSlot } from './runtime-slot.js';
import { runTask, SlotPool } from './slot-pool.js';

const LOAD_TIMEOUT_MS = 60_000;
/** Rows per task: a larger batch goes through the queue piece by piece, so that single rows get between. */
const ROWS_PER_TASK = 4_096;

/** Entry of the runtime's child process, for the injected `startChild`. */
const runtimeChildEntry = new URL('./runtime.child', import.meta.url);

export interface OnnxRuntimeOptions {
  /** Child processes, 1 … 4. */
  slots: number;
  /** Waiting calls before `overload`; 256 by default. */
  maxQueue?: number | undefined;
  /** File bytes of all models in memory; 1 GiB by default. */
  maxResidentBytes?: number | undefined;
  /** Package that holds the runtime; `onnxruntime-node` by default. */
  runtimePackage?: string | undefined;
  /** Starts a child from an entry named without its extension, with the data of its first message. */
  startChild: (entry: URL, data: unknown) => ChildProcess;
  /**
   * Path of a local file with the artifact's bytes (a content-addressed cache). They need not be trusted: each load
   * checks them against the digest.
   */
  locateArtifact: (digest: Digest, signal: AbortSignal) => Promise<string>;
}

/** The ONNX runtime with what its owner needs beside the port. */
export interface OnnxRuntime extends ModelRuntime {
  /** True where the version is loaded and has answered its probes: only then it may carry weight. */
  isReady(digest: Digest): boolean;
  /** Names the versions that are never evicted (ACTIVE, PREVIOUS, canary). */
  pin(digests: Iterable<Digest>): void;
  /** Ends all child processes. */
  close(): void;
}

async function checkProbes(
  slot: RuntimeSlot,
  { version, info }: Pick<ResidentModel, 'version' | 'info'>,
): Promise<void> {
  const { golden, digest } = version;
  if (golden.length === 0) return;
  const rows = golden.map(({ inputs }) => inputs);
  const columns = encodeRows(rows, info.inputs);
  const { probabilities } = await runTask(
    slot,
    { kind: 'run', digest, rowCount: rows.length, columns },
    { kind: 'ran', timeoutMs: LOAD_TIMEOUT_MS },
  );
  for (const [at, { probability }] of golden.entries()) {
    const answer = probabilities[at] ?? Number.NaN;
    if (Math.abs(answer - probability) <= GOLDEN_TOLERANCE) continue;
    const message = `golden input ${at}: ${answer} instead of ${probability}`;
    throw new ProviderFailure('binding', message, { code: 'GOLDEN_MISMATCH' });
  }
}

/** Loads a version into one slot, digest and probes checked; a version that fails its probes is not kept. */
async function loadInto(
  slot: RuntimeSlot,
  { version, path }: Pick<ResidentModel, 'version' | 'path'>,
  timeoutMs = LOAD_TIMEOUT_MS,
): Promise<ResidentModel> {
  const { digest } = version;
  const started = performance.now();
  const { info, sizeBytes } = await runTask(
    slot,
    { kind: 'load', digest, path },
    { kind: 'loaded', timeoutMs },
  );
  try {
    await checkProbes(slot, { version, info });
  } catch (error) {
    if (slot.isIdle()) await unloadFrom(slot, digest);
    throw error;
  }
  return { version, path, info, sizeBytes, loadMs: performance.now() - started };
}

async function unloadFrom(slot: RuntimeSlot, digest: Digest): Promise<void> {
  await runTask(slot, { kind: 'unload', digest }, { kind: 'unloaded', timeoutMs: LOAD_TIMEOUT_MS });
}

const readyOf = ({ version, info, sizeBytes, loadMs }: ResidentModel): Ready => ({
  digest: version.digest,
  sizeBytes,
  fields: info.inputs.map(({ field }) => field),
  classes: info.classes,
  loadMs,
});

/** Waits for a promise that others share; an abort leaves it running and rejects with the signal's reason. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    // Nobody is left to hear how it ends.
    promise.catch(() => undefined);
    return Promise.reject(signal.reason as Error);
  }
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  return Promise.race([promise, aborted]).finally(() =>
    signal.removeEventListener('abort', onAbort),
  );
}

/** The timeout that a load as a whole may take, waiting for busy slots included. */
function withinLoadTimeout<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new ProviderFailure('timeout', `not loaded within ${LOAD_TIMEOUT_MS} ms`));
  }, LOAD_TIMEOUT_MS);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

class ChildProcessRuntime implements OnnxRuntime {
  readonly #locateArtifact: OnnxRuntimeOptions['locateArtifact'];
  readonly #resident: ResidentModels;
  readonly #pool: SlotPool;
  readonly #loading = new Map<Digest, Promise<ResidentModel>>();
  readonly #loaded = new Map<RuntimeSlot, Set<Digest>>();
  readonly #stopping = new AbortController();

  constructor(options: OnnxRuntimeOptions) {
    this.#locateArtifact = options.locateArtifact;
    this.#resident = createResidentModels(options.maxResidentBytes ?? 2 ** 30);
    const runtimePackage = options.runtimePackage ?? 'onnxruntime-node';
    this.#pool = new SlotPool({
      slots: options.slots,
      maxQueue: options.maxQueue ?? 256,
      spawn: () => options.startChild(runtimeChildEntry, { runtimePackage }),
      onFresh: (slot) => this.#reload(slot),
    });
  }

  capabilities(): Capabilities {
    const unavailable = this.#pool.unavailable();
    const predict = unavailable === undefined;
    return { predict, chat: false, embed: false, stream: false, local: true, unavailable };
  }

  async prepare(version: RuntimeVersion, signal: AbortSignal): Promise<Ready> {
    return readyOf(await abortable(this.#model(version), signal));
  }

  async predict(call: PredictCall, signal: AbortSignal): Promise<PredictResult> {
    const deadline = performance.now() + call.timeoutMs;
    const model = await abortable(this.#model(call.version), signal);
    const { classes } = model.info;
    const probabilities: number[] = [];
    let runMs = 0;
    for (let at = 0; at < call.rows.length; at += ROWS_PER_TASK) {
      const rows = call.rows.slice(at, at + ROWS_PER_TASK);
      const part = await abortable(this.#runRows(model, rows, { deadline, signal }), signal);
      for (const probability of part.probabilities) probabilities.push(probability);
      runMs += part.runMs;
    }
    const labels = probabilities.map((probability) => labelOf(probability, classes));
    return { probabilities, labels, classes, runMs };
  }

  async health(): Promise<Health> {
    const slots = this.#pool.health();
    const reason = this.#pool.unavailable();
    const working = slots.every(({ state }) => state === 'idle' || state === 'busy');
    const resident = this.#resident.list().map(({ version: { digest }, sizeBytes }) => ({
      digest,
      sizeBytes,
      pinned: this.#resident.isPinned(digest),
    }));
    const status = reason !== undefined ? 'unavailable' : working ? 'ok' : 'degraded';
    return { status, reason, slots, queueDepth: this.#pool.queueDepth(), resident };
  }

  async dispose({ digest }: RuntimeVersion): Promise<void> {
    await this.#forget(digest);
  }

  isReady(digest: Digest): boolean {
    return this.#resident.get(digest) !== undefined && !this.#loading.has(digest);
  }

  pin(digests: Iterable<Digest>): void {
    this.#resident.pin(digests);
  }

  close(): void {
    this.#stopping.abort();
    this.#pool.close();
  }

  /** The version in memory; loads it into all slots if it is not there, once for all who ask meanwhile. */
  #model(version: RuntimeVersion): Promise<ResidentModel> {
    const { digest } = version;
    const running = this.#loading.get(digest);
    if (running) return running;
    const model = this.#resident.get(digest);
    if (model) {
      this.#resident.touch(digest);
      return Promise.resolve(model);
    }
    const started = withinLoadTimeout(this.#loadEverywhere(version))
      .catch((error: unknown) => {
        void this.#forget(digest);
        throw error;
      })
      .finally(() => this.#loading.delete(digest));
    this.#loading.set(digest, started);
    return started;
  }

  async #loadEverywhere(version: RuntimeVersion): Promise<ResidentModel> {
    const { digest } = version;
    const path = await this.#locateArtifact(digest, this.#stopping.signal);
    const [first, ...others] = this.#pool.slots;
    if (first === undefined) throw new ProviderFailure('binding', 'the runtime has no slots');
    const model = await this.#pool.submitTo(first, async () => {
      const loaded = await loadInto(first, { version, path });
      this.#loaded.get(first)?.add(digest);
      return loaded;
    });
    const victims = this.#resident.victimsFor(model.sizeBytes);
    if (victims === undefined)
      throw new ProviderFailure('overload', `${model.sizeBytes} bytes do not fit in memory`);
    this.#resident.add(model);
    await Promise.all(victims.map((victim) => this.#forget(victim)));
    await Promise.all(
      others.map((slot) => this.#pool.submitTo(slot, () => this.#ensureLoaded(slot, model))),
    );
    return model;
  }

  async #ensureLoaded(slot: RuntimeSlot, model: ResidentModel, timeoutMs?: number): Promise<void> {
    const { digest } = model.version;
    if (this.#loaded.get(slot)?.has(digest)) return;
    await loadInto(slot, model, timeoutMs);
    this.#loaded.get(slot)?.add(digest);
  }

  /** Fills the memory of a new child. */
  #reload(slot: RuntimeSlot): void {
    this.#loaded.set(slot, new Set());
    for (const model of this.#resident.list())
      this.#pool
        .submitTo(slot, () => this.#ensureLoaded(slot, model))
        // A load that fails here fails again, with its reason, at the next call on this slot.
        .catch(() => undefined);
  }

  async #runRows(
    model: ResidentModel,
    rows: readonly RawRow[],
    { deadline, signal }: { deadline: number; signal: AbortSignal },
  ): Promise<{ probabilities: Float32Array; runMs: number }> {
    const { digest } = model.version;
    const task = {
      kind: 'run' as const,
      digest,
      rowCount: rows.length,
      columns: encodeRows(rows, model.info.inputs),
    };
    const left = (): number => Math.max(1, deadline - performance.now());
    const job = async (slot: RuntimeSlot) => {
      if (this.#resident.get(digest) !== model)
        throw new ProviderFailure('server', 'the model left the memory while the call waited');
      await this.#ensureLoaded(slot, model, left());
      return runTask(slot, task, { kind: 'ran', timeoutMs: left() });
    };
    return this.#pool.submit(job, { timeoutMs: left(), signal });
  }

  async #forget(digest: Digest): Promise<void> {
    this.#resident.remove(digest);
    const unload = async (slot: RuntimeSlot): Promise<void> => {
      if (this.#loaded.get(slot)?.delete(digest)) await unloadFrom(slot, digest);
    };
    await Promise.all(
      this.#pool.slots.map((slot) =>
        // A slot that died has forgotten by itself.
        this.#pool.submitTo(slot, () => unload(slot)).catch(() => undefined),
      ),
    );
  }
}

/**
 * Starts the pool. Each slot is a child process: the native call blocks its thread, and only a process can be killed in
 * the middle of one. A killed or crashed child is replaced, and the models in memory are loaded into the new one.
 */
export const createOnnxRuntime = (options: OnnxRuntimeOptions): OnnxRuntime =>
  new ChildProcessRuntime(options);
