import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type * as Ort from 'onnxruntime-node';
import type {
  ChildColumn,
  ChildNotice,
  ChildRefusal,
  ChildReply,
  ChildRequest,
  ChildStart,
} from './child-protocol.js';
import { describeArtifact, type ArtifactInfo } from './describe-artifact.js';

// One slot of the runtime: a native crash or a hang in here is one failed attempt, not a dead API.

interface LoadedModel {
  session: Ort.InferenceSession;
  info: ArtifactInfo;
}

class Refusal extends Error {
  readonly refusal: ChildRefusal;
  constructor(refusal: ChildRefusal, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause));
    this.refusal = refusal;
  }
}

const models = new Map<string, LoadedModel>();
const send = (message: ChildReply | ChildNotice): void => void process.send?.(message);

/** Runs a step and names what its failure means. */
async function step<T>(refusal: ChildRefusal, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(refusal, error);
  }
}

async function load(
  ort: typeof Ort,
  { id, digest, path }: Extract<ChildRequest, { kind: 'load' }>,
): Promise<ChildReply> {
  const bytes = await step('missing', () => readFile(path));
  const actual = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  if (actual !== digest) throw new Refusal('corrupt', `bytes have digest ${actual}`);
  const info = await step('unloadable', () => describeArtifact(bytes));
  const session = await step('unloadable', () =>
    ort.InferenceSession.create(bytes, { intraOpNumThreads: 1, interOpNumThreads: 1 }),
  );
  await models.get(digest)?.session.release();
  models.set(digest, { session, info });
  return { id, kind: 'loaded', info, sizeBytes: bytes.byteLength };
}

function tensorOf(ort: typeof Ort, values: ChildColumn, rowCount: number): Ort.Tensor {
  const dims = [rowCount, 1];
  if (Array.isArray(values)) return new ort.Tensor('string', values, dims);
  if (values instanceof Float32Array) return new ort.Tensor('float32', values, dims);
  if (values instanceof Float64Array) return new ort.Tensor('float64', values, dims);
  if (values instanceof Int32Array) return new ort.Tensor('int32', values, dims);
  if (values instanceof BigInt64Array) return new ort.Tensor('int64', values, dims);
  return new ort.Tensor('bool', values, dims);
}

/** P(positive) of each row: the second of two columns, or the only one. */
function positiveColumn(output: Ort.Tensor | undefined, rowCount: number): Float32Array {
  const data = output?.data;
  if (!(data instanceof Float32Array)) throw new Error('the output is not a float tensor');
  if (data.length === rowCount) return data.slice();
  if (data.length !== 2 * rowCount)
    throw new Error(`${data.length} output values for ${rowCount} rows`);
  return Float32Array.from({ length: rowCount }, (_, row) => data[2 * row + 1] ?? Number.NaN);
}

async function run(
  ort: typeof Ort,
  { id, digest, rowCount, columns }: Extract<ChildRequest, { kind: 'run' }>,
): Promise<ChildReply> {
  const model = models.get(digest);
  if (model === undefined) throw new Refusal('not_loaded', digest);
  const { session, info } = model;
  const started = performance.now();
  return step('run_failed', async () => {
    const feeds = Object.fromEntries(
      info.inputs.map(({ input }, at) => [input, tensorOf(ort, columns[at] ?? [], rowCount)]),
    );
    const outputs = await session.run(feeds, [info.output]);
    const probabilities = positiveColumn(outputs[info.output], rowCount);
    return { id, kind: 'ran', probabilities, runMs: performance.now() - started };
  });
}

async function unload(digest: string): Promise<void> {
  const model = models.get(digest);
  models.delete(digest);
  await model?.session.release();
}

async function answer(ort: typeof Ort, request: ChildRequest): Promise<ChildReply> {
  switch (request.kind) {
    case 'load':
      return load(ort, request);
    case 'run':
      return run(ort, request);
    case 'unload':
      await unload(request.digest);
      return { id: request.id, kind: 'unloaded' };
  }
}

async function serve({ data }: ChildStart): Promise<void> {
  const ort = (await import(data.runtimePackage)) as typeof Ort;
  process.on('message', (request: ChildRequest) => {
    answer(ort, request).then(send, (error: unknown) => {
      const { refusal, message } =
        error instanceof Refusal ? error : new Refusal('run_failed', error);
      send({ id: request.id, kind: 'refused', refusal, message });
    });
  });
  send({ kind: 'ready' });
}

// A terminal sends Ctrl-C to the whole group; the parent decides when a slot ends.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.once('message', (start: ChildStart) => {
  serve(start).catch((error: unknown) => {
    send({ kind: 'unavailable', message: error instanceof Error ? error.message : String(error) });
  });
});
