import type { Worker } from 'node:worker_threads';
import { embedFp, localIdentity } from '../../domain/etl/embed-fp.js';
import type { Embedder } from '../../domain/etl/embedder.js';
import { PlatformError } from '../../domain/errors.js';
import { lsaDims } from '../../domain/etl/lsa.js';
import { subBatchTexts } from '../../domain/etl/sub-batches.js';
import type { LocalModel } from './embed-protocol.js';
import { ThreadPool } from './thread-pool.js';

/** Entry of the embedding thread, for the injected `startThread`. */
const embedThreadEntry = new URL('./embed.thread', import.meta.url);

/** An embedder that owns threads. */
export interface LocalEmbedder extends Embedder {
  /** Slices of ≤ 256 texts that wait for a thread. */
  queued: () => number;
  /** Ends the threads; calls under way fail with EMBEDDER_UNAVAILABLE. */
  close: () => Promise<void>;
}

/** What a local embedder is made of. */
export interface LocalEmbedderOptions {
  model: LocalModel;
  startThread: (entry: URL, data: unknown) => Worker;
  /** 1 or 2: more take the cores of Postgres and Temporal away. */
  threads?: 1 | 2 | undefined;
  /** Slices of ≤ 256 texts that may wait; beyond them a call is refused, because nothing frees the memory. */
  maxQueued?: number | undefined;
}

/**
 * `hash-384` or a fitted `lsa` in worker threads, so that the main thread stays free. An artifact is decoded once a
 * thread; a slice's vectors arrive in one transferred array, and each vector returned is a view on it. `kind` makes no
 * difference to these two. A full queue refuses with EMBEDDER_UNAVAILABLE; an abort ends the call at once.
 */
export function createLocalEmbedder(options: LocalEmbedderOptions): LocalEmbedder {
  const { model, startThread, threads = 1, maxQueued = 256 } = options;
  const dims = lsaDims;
  const identity =
    model.id === 'hash-384'
      ? localIdentity({ id: model.id })
      : localIdentity({ id: model.id, dims, artifactDigest: model.digest });
  const pool = new ThreadPool({
    start: () => startThread(embedThreadEntry, model),
    threads,
    maxQueued,
  });
  const slicesOf = (texts: readonly string[]) =>
    Array.from({ length: Math.ceil(texts.length / subBatchTexts) }, (_, at) =>
      texts.slice(at * subBatchTexts, (at + 1) * subBatchTexts),
    );
  return {
    id: model.id,
    embedFp: embedFp(identity),
    dims,
    memo: false,
    // No token limit: every text has a vector whatever its length.
    limits: {
      maxInputs: subBatchTexts * maxQueued,
      maxTokensPerInput: Number.MAX_SAFE_INTEGER,
      maxTokensPerRequest: Number.MAX_SAFE_INTEGER,
    },
    embed: async (texts, _kind, signal) => {
      const slices = slicesOf(texts);
      if (!pool.hasRoom(slices.length))
        throw new PlatformError('EMBEDDER_UNAVAILABLE', 'the embedder has too much to do');
      const done = await Promise.all(slices.map((slice) => pool.run(slice, signal)));
      return done.flatMap(({ vectors, present }) =>
        Array.from(present, (isThere, at) =>
          isThere === 0 ? undefined : vectors.subarray(at * dims, (at + 1) * dims),
        ),
      );
    },
    queued: () => pool.queued,
    close: () => pool.close(),
  };
}
