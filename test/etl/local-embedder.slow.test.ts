import { Worker } from 'node:worker_threads';
import {
  createLocalEmbedder,
  type LocalEmbedder,
} from '../../src/adapters/local-embedder/create-local-embedder.js';
import { startThread } from '../../src/adapters/processes/start-child.js';
import { hash384 } from '../../src/domain/etl/hash-384.js';
import { encodeLsa } from '../../src/domain/etl/lsa-artifact.js';
import { fitLsa } from '../../src/domain/etl/lsa-fit.js';
import { lsaVector } from '../../src/domain/etl/lsa.js';

const own = (entry: URL, data: unknown) => startThread(entry, { data, env: {} });
const running: LocalEmbedder[] = [];
const create = (options: Partial<Parameters<typeof createLocalEmbedder>[0]> = {}) => {
  const embedder = createLocalEmbedder({ model: { id: 'hash-384' }, startThread: own, ...options });
  running.push(embedder);
  return embedder;
};
afterEach(async () => {
  await Promise.all(running.splice(0).map((embedder) => embedder.close()));
});
const never = new AbortController().signal;
const texts = Array.from({ length: 600 }, (_, i) => `durable workflow number ${i}`);

describe('the local embedder', () => {
  it('answers in order what the domain functions answer, and undefined for a text without words', async () => {
    const embedder = create({ threads: 2 });
    const vectors = await embedder.embed([...texts, '…'], 'document', never);
    expect(vectors).toEqual([...texts.map(hash384), undefined]);
    expect(await embedder.embed([], 'query', never)).toEqual([]);
  });

  it('runs a fitted lsa, whose digest is part of its fingerprint', async () => {
    const corpus = ['red fish blue fish', 'one fish two fish', 'blue whale one whale'];
    const model = fitLsa({ texts: corpus, seed: 1 });
    const { bytes, digest } = encodeLsa(model);
    const embedder = create({ model: { id: 'lsa', artifact: bytes, digest } });
    expect(await embedder.embed(['blue fish', 'unknown'], 'query', never)).toEqual([
      lsaVector(model, 'blue fish'),
      undefined,
    ]);
    const other = encodeLsa(fitLsa({ texts: corpus.slice(0, 2), seed: 1 }));
    const fps = [
      embedder.embedFp,
      create({ model: { id: 'lsa', artifact: other.bytes, digest: other.digest } }).embedFp,
      create().embedFp,
    ];
    expect(new Set(fps).size).toBe(3);
    expect(create().embedFp).toBe(fps[2]);
  });

  it('refuses an artifact that is not the one its digest names', async () => {
    const { bytes } = encodeLsa(fitLsa({ texts: ['a1 b1', 'a1 b1'], seed: 1 }));
    const embedder = create({ model: { id: 'lsa', artifact: bytes, digest: 'sha256:00' } });
    await expect(embedder.embed(['a1'], 'query', never)).rejects.toMatchObject({
      code: 'EMBEDDER_UNAVAILABLE',
    });
  });

  it('starts a thread again that died, and embeds the slice it held', async () => {
    const threads: Worker[] = [];
    const embedder = create({
      startThread: (entry, data) => {
        // The first thread dies with the first slice that it gets.
        const thread =
          threads.length === 0
            ? new Worker(
                `require('node:worker_threads').parentPort.once('message', () => process.exit(9))`,
                { eval: true },
              )
            : own(entry, data);
        threads.push(thread);
        return thread;
      },
    });
    expect(await embedder.embed(['durable workflows'], 'document', never)).toEqual([
      hash384('durable workflows'),
    ]);
    expect(threads).toHaveLength(2);
  });

  it('gives up a slice that kills every thread, and says the embedder is unavailable', async () => {
    let started = 0;
    const embedder = create({
      startThread: () => {
        started++;
        return new Worker(
          `require('node:worker_threads').parentPort.once('message', () => process.exit(9))`,
          { eval: true },
        );
      },
    });
    await expect(embedder.embed(['x'], 'document', never)).rejects.toMatchObject({
      code: 'EMBEDDER_UNAVAILABLE',
    });
    expect(started).toBe(2);
  });

  it('refuses what exceeds its queue instead of holding it in memory', async () => {
    const embedder = create({ maxQueued: 2 });
    await expect(embedder.embed(texts, 'document', never)).rejects.toMatchObject({
      code: 'EMBEDDER_UNAVAILABLE',
    });
    expect(await embedder.embed(texts.slice(0, 512), 'document', never)).toHaveLength(512);
  });

  it('lets a caller go at once that gives up, and serves the next', async () => {
    const embedder = create();
    const controller = new AbortController();
    const call = embedder.embed(texts, 'document', controller.signal);
    controller.abort(new Error('given up'));
    await expect(call).rejects.toThrow('given up');
    expect(embedder.queued()).toBe(0);
    expect(await embedder.embed(['durable'], 'query', never)).toEqual([hash384('durable')]);
  });
});
