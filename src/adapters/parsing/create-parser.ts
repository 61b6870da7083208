import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deserialize } from 'node:v8';
import { DETECT_BYTES, detectType } from '../../domain/etl/detect-type.js';
import type { MediaType } from '../../domain/etl/media-types.js';
import {
  defaultParseLimits,
  type ParseInput,
  type ParseLimits,
  type ParseOutcome,
  type ParseRefused,
  type Parser,
} from '../../domain/etl/parser.js';
import type { ChildOutcome, ParserTask } from './child-protocol.js';
import { openSpool } from './open-spool.js';
import { ParserSlot, type KillCause, type TaskEnd } from './parser-slot.js';

/** Entry of the parsers' child process, for the injected `startChild`. */
const parserChildEntry = new URL('./parse.child', import.meta.url);

const MAX_BATCH_DOCUMENTS = 64;
const MAX_BATCH_BYTES = 2 ** 20;
const RETIRE_AFTER = 200;

export interface ParserOptions {
  /** Starts a child from its entry with this (empty) environment, `data` as first message and these runtime flags. */
  startChild: (
    entry: URL,
    options: { data: unknown; env: Record<string, string>; execArgv: string[]; output: 'none' },
  ) => ChildProcess;
  /** Number of children; default 1. */
  children?: number | undefined;
  limits?: Partial<ParseLimits> | undefined;
  /** Folder for the spool; default the system's folder for temporary files. */
  spoolParent?: string | undefined;
  /** Called for each child that was killed or died in the middle of a task (for a counter). */
  onKill?: ((cause: KillCause) => void) | undefined;
  /** Another entry, for tests of what a parser may do wrong. */
  entry?: URL | undefined;
}

/** A document whose type is known and that is within the raw limit. */
interface Admitted {
  at: number;
  name: string;
  mediaType: MediaType;
  size: number;
  content: ParseInput['content'];
}

/** Documents that go to a child together, and what earlier attempts at a single one have used. */
interface Batch {
  documents: Admitted[];
  earlierMs: number;
  /** Children that died over the one document, each by itself and not by a limit of ours. */
  crashes?: number | undefined;
  pagesFile?: string | undefined;
  pagesBytes: number;
}

// What these libraries keep between documents is not ours to know: a child that parsed many of them is replaced.
const heavyTypes = new Set<MediaType>([
  'text/html',
  'application/pdf',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
]);
const isAlone = ({ mediaType, size }: Admitted): boolean =>
  size > MAX_BATCH_BYTES || (heavyTypes.has(mediaType) && mediaType !== 'text/html');

/**
 * Runtime flags of a child: it reads code and its spool, writes its spool, and starts nothing. Run from sources it has
 * no such walls, because the loader of sources starts a compiler and keeps a cache of its own.
 */
function childFlags(spool: string, entry: URL, rssBytes: number): string[] {
  const flags = [`--max-old-space-size=${Math.floor(rssBytes / 2 ** 20)}`, '--no-warnings'];
  const isCompiled = import.meta.url.endsWith('.js');
  if (!isCompiled || !process.allowedNodeEnvironmentFlags.has('--permission')) return flags;
  const own = resolve(fileURLToPath(new URL('../..', import.meta.url)));
  const beside = ['node_modules', 'package.json'].map((name) => join(own, '..', name));
  const code = [own, ...beside].filter((path) => existsSync(path));
  // Imports are read where they really are.
  const real = code.map((path) => realpathSync(path));
  const reads = [...new Set([...code, ...real, dirname(fileURLToPath(entry)), spool])];
  return [
    ...flags,
    '--permission',
    ...reads.map((path) => `--allow-fs-read=${path}`),
    `--allow-fs-write=${spool}`,
  ];
}

async function headOf(path: string): Promise<{ head: Uint8Array; size: number }> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const head = Buffer.alloc(Math.min(size, DETECT_BYTES));
    await file.read(head, 0, head.length, 0);
    return { head, size };
  } finally {
    await file.close();
  }
}

async function admit(
  input: ParseInput,
  at: number,
  rawBytes: number,
): Promise<Admitted | { refused: ParseRefused }> {
  const { content, name } = input;
  const { head, size } =
    'bytes' in content
      ? { head: content.bytes, size: content.bytes.byteLength }
      : await headOf(content.path);
  if (size > rawBytes)
    return { refused: { reason: 'parse_limit', evidence: { limit: 'raw_bytes', value: size } } };
  const detected = detectType(head, name, input.declaredType);
  return 'refused' in detected
    ? detected
    : { at, name, mediaType: detected.mediaType, size, content };
}

/** Batches of at most 64 documents and 1 MiB; large ones and those that unpack go alone. */
function batchesOf(documents: readonly Admitted[]): Batch[] {
  const batches: Batch[] = [];
  let open: Admitted[] = [];
  let bytes = 0;
  for (const document of documents) {
    if (isAlone(document)) {
      batches.push({ documents: [document], earlierMs: 0, pagesBytes: 0 });
      continue;
    }
    if (
      open.length === 0 ||
      open.length === MAX_BATCH_DOCUMENTS ||
      bytes + document.size > MAX_BATCH_BYTES
    ) {
      open = [];
      bytes = 0;
      batches.push({ documents: open, earlierMs: 0, pagesBytes: 0 });
    }
    open.push(document);
    bytes += document.size;
  }
  return batches;
}

/** How much of a retirement a batch is: documents of heavy libraries count one by one, others by the batch. */
const wearOf = ({ documents }: Batch): number =>
  Math.max(1, documents.filter((document) => heavyTypes.has(document.mediaType)).length);

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

function killedRefusal(cause: KillCause, limits: ParseLimits, elapsedMs: number): ParseRefused {
  if (cause === 'wall')
    return { reason: 'parse_limit', evidence: { limit: 'wall_ms', value: Math.round(elapsedMs) } };
  if (cause === 'rss')
    return { reason: 'parse_limit', evidence: { limit: 'rss_bytes', value: limits.rssBytes } };
  return { reason: 'parse_failed', evidence: { detail: 'parser_died' } };
}

/** The document that was in the hands of a child when it died goes alone next; the others go on without it. */
function bisect(batch: Batch, index: number): Batch[] {
  const { documents } = batch;
  const fresh = { earlierMs: 0, pagesBytes: 0 };
  return [
    { ...fresh, documents: documents.slice(0, index) },
    { ...fresh, documents: documents.slice(index, index + 1), crashes: 1 },
    { ...fresh, documents: documents.slice(index + 1) },
  ].filter((part) => part.documents.length > 0);
}

/** The work of one call of `parse`, shared by the slots. */
interface Call {
  queue: Batch[];
  outcomes: ParseOutcome[];
  ids: readonly string[];
  tasks: Set<number>;
  signal: AbortSignal;
}

/** A pool of pre-started child processes, one spool folder, and what is done when a child dies. */
class ParserPool {
  readonly #options: ParserOptions;
  readonly #limits: ParseLimits;
  readonly #spool: string;
  readonly #slots: ParserSlot[];
  readonly #free: ParserSlot[];
  readonly #waiting: ((slot: ParserSlot) => void)[] = [];
  readonly #wear = new Map<ParserSlot, number>();
  #lastTask = 0;

  constructor(options: ParserOptions, spool: string) {
    this.#options = options;
    this.#limits = { ...defaultParseLimits, ...options.limits };
    this.#spool = spool;
    const entry = options.entry ?? parserChildEntry;
    const execArgv = childFlags(spool, entry, this.#limits.rssBytes);
    this.#slots = Array.from({ length: options.children ?? 1 }, (_, index) => {
      const spawn = (progressFile: string): ChildProcess =>
        options.startChild(entry, {
          data: { progressFile, limits: this.#limits },
          env: {},
          execArgv,
          output: 'none',
        });
      const progressFile = join(spool, `slot-${index}.progress`);
      return new ParserSlot({ spawn, progressFile, limits: this.#limits });
    });
    this.#free = [...this.#slots];
  }

  async parse(inputs: readonly ParseInput[], signal: AbortSignal): Promise<ParseOutcome[]> {
    signal.throwIfAborted();
    const outcomes: ParseOutcome[] = [];
    const admitted: Admitted[] = [];
    for (const [at, input] of inputs.entries()) {
      const document = await admit(input, at, this.#limits.rawBytes);
      if ('refused' in document) outcomes[at] = { id: input.id, refused: document.refused };
      else admitted.push(document);
    }
    const ids = inputs.map((input) => input.id);
    const call: Call = { queue: batchesOf(admitted), outcomes, ids, tasks: new Set(), signal };
    const stop = (): void => {
      call.queue.length = 0;
      for (const slot of this.#slots) slot.cancel((task) => call.tasks.has(task.id));
    };
    signal.addEventListener('abort', stop, { once: true });
    try {
      await Promise.all(this.#slots.map(() => this.#drain(call)));
    } finally {
      signal.removeEventListener('abort', stop);
      call.queue.length = 0;
    }
    signal.throwIfAborted();
    return outcomes;
  }

  async close(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.close()));
    await rm(this.#spool, { recursive: true, force: true });
  }

  async #drain(call: Call): Promise<void> {
    for (let batch = call.queue.shift(); batch !== undefined; batch = call.queue.shift()) {
      const slot =
        this.#free.pop() ?? (await new Promise<ParserSlot>((got) => this.#waiting.push(got)));
      try {
        await this.#runBatch(call, batch, slot);
      } finally {
        this.#release(slot, wearOf(batch));
      }
    }
  }

  #release(slot: ParserSlot, wear: number): void {
    const worn = (this.#wear.get(slot) ?? 0) + wear;
    this.#wear.set(slot, worn >= RETIRE_AFTER ? 0 : worn);
    if (worn >= RETIRE_AFTER) slot.retire();
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slot);
    else next(slot);
  }

  async #spoolBatch(batch: Batch, id: number): Promise<ParserTask> {
    const inputFile = join(this.#spool, `${id}.in`);
    const parts: Uint8Array[] = [];
    for (const { content } of batch.documents)
      parts.push('bytes' in content ? content.bytes : await readFile(content.path));
    // Small files are written at once: a trip to the thread pool costs more than the write.
    writeFileSync(inputFile, parts.length === 1 ? (parts[0] ?? '') : Buffer.concat(parts));
    let offset = 0;
    const documents = batch.documents.map(({ name, mediaType }, index) => {
      const length = parts[index]?.byteLength ?? 0;
      offset += length;
      return { name, mediaType, offset: offset - length, length };
    });
    const pagesFile = batch.pagesFile ?? join(this.#spool, `${id}.pages`);
    return { id, inputFile, outputFile: join(this.#spool, `${id}.out`), pagesFile, documents };
  }

  async #runBatch(call: Call, batch: Batch, slot: ParserSlot): Promise<void> {
    const id = ++this.#lastTask;
    call.tasks.add(id);
    const task = await this.#spoolBatch(batch, id);
    let isResumed = false;
    try {
      const end = await slot.run(task, batch.earlierMs, call.signal);
      if (end.kind === 'done') this.#collect(call, batch, task.outputFile);
      else isResumed = this.#afterDeath(call, { batch, task, end });
    } finally {
      call.tasks.delete(id);
      const done = [task.inputFile, task.outputFile, ...(isResumed ? [] : [task.pagesFile])];
      for (const file of done) rmSync(file, { force: true });
    }
  }

  #collect(call: Call, batch: Batch, outputFile: string): void {
    const outcomes = deserialize(readFileSync(outputFile)) as ChildOutcome[];
    for (const [index, { at }] of batch.documents.entries()) {
      const outcome = outcomes[index];
      if (outcome === undefined) throw new Error('the parser answered for fewer documents');
      call.outcomes[at] = { id: call.ids[at] ?? '', ...outcome };
    }
  }

  /** @returns whether finished pages are kept for another attempt */
  #afterDeath(
    call: Call,
    of: { batch: Batch; task: ParserTask; end: Extract<TaskEnd, { kind: 'killed' }> },
  ): boolean {
    const { batch, task, end } = of;
    if (end.cause === 'cancelled') return false;
    this.#options.onKill?.(end.cause);
    const [only, ...others] = batch.documents;
    if (others.length > 0 || only === undefined) {
      call.queue.unshift(...bisect(batch, end.index));
      return false;
    }
    const elapsedMs = batch.earlierMs + end.elapsedMs;
    const pagesBytes = sizeOf(task.pagesFile);
    if (pagesBytes > batch.pagesBytes && end.cause !== 'wall') {
      const { pagesFile } = task;
      call.queue.unshift({ documents: [only], earlierMs: elapsedMs, pagesFile, pagesBytes });
      return true;
    }
    const { crashes = 0 } = batch;
    if (end.cause === 'crash' && crashes === 0) {
      // Once may be the machine's doing, which kills whom it likes where memory is short.
      const { pagesFile } = task;
      const again = { documents: [only], earlierMs: elapsedMs, pagesFile, pagesBytes };
      call.queue.unshift({ ...again, crashes: 1 });
      return true;
    }
    const refused = killedRefusal(end.cause, this.#limits, elapsedMs);
    call.outcomes[only.at] = { id: call.ids[only.at] ?? '', refused };
    return false;
  }
}

/** Starts the children and opens the spool. `close` ends the children and removes the spool. */
export async function createParser(options: ParserOptions): Promise<Parser> {
  const spool = await openSpool(options.spoolParent ?? tmpdir());
  const pool = new ParserPool(options, spool);
  return {
    parse: (documents, signal) => pool.parse(documents, signal),
    close: () => pool.close(),
  };
}
