import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalEmbedder } from '../../src/adapters/local-embedder/create-local-embedder.js';
import { digestOf } from '../../src/domain/digest.js';
import type { Embedder } from '../../src/domain/etl/embedder.js';
import { PlatformError } from '../../src/domain/errors.js';
import { startWorkerThread } from '../../src/main/model-runtime.js';
import type { SourceState } from './corpus.js';
import { Crash } from './engine.js';

/** Longest batch that any side sends. */
export const EMBED_BATCH = 256;
const RETRY_AFTER_MS = 500;

/** The embedder that all sides share, and what they asked of it. */
export interface MeteredEmbedder {
  /** Embeds ≤ 256 texts. @throws {@link RateLimited} */
  embed: (texts: readonly string[], version: SourceState['embedder']) => Promise<Float32Array[]>;
  /** The same as the port of the product. */
  port: (version: SourceState['embedder']) => Embedder;
  /** Inputs that were embedded. */
  readonly inputs: () => number;
  reset: () => void;
  /** Ends the process after so many inputs more. */
  crashAfter: (inputs: number | undefined) => void;
  close: () => Promise<void>;
}

/** What a provider answers to too many requests: status and header as SDKs read them. */
export class RateLimited extends Error {
  override name = 'RateLimited';
  readonly status = 429;
  readonly headers = { 'retry-after': String(RETRY_AFTER_MS / 1_000) };
  readonly retryAfterMs = RETRY_AFTER_MS;
}

export const embedFpOf = (version: SourceState['embedder']): string =>
  digestOf('anneal.bench.embedder', { model: 'hash-384', version });

/**
 * `hash-384` in its worker thread, one for all sides.
 * @param slow a provider's manners: 50 ms a call, 1 ms an input, each twentieth call refused with 429
 */
export function createMeteredEmbedder(slow: boolean): MeteredEmbedder {
  const local = createLocalEmbedder({
    model: { id: 'hash-384' },
    startThread: startWorkerThread,
  });
  const { signal } = new AbortController();
  let inputs = 0;
  let calls = 0;
  let left: number | undefined;

  const embed: MeteredEmbedder['embed'] = async (texts, version) => {
    if (slow) {
      calls += 1;
      if (calls % 20 === 0) throw new RateLimited('Too many requests');
      await sleep(50 + texts.length);
    }
    inputs += texts.length;
    if (left !== undefined && (left -= texts.length) <= 0) throw new Crash('while embedding');
    // The version is a word of the text, so that the two cost the same and differ.
    const own = version === 'v1' ? texts : texts.map((text) => `${text} versiontwo`);
    const vectors = await local.embed(own, 'document', signal);
    return vectors.map((vector) => vector ?? new Float32Array(local.dims));
  };
  return {
    embed,
    port: (version) => ({
      id: 'hash-384',
      embedFp: embedFpOf(version),
      dims: local.dims,
      // Worth keeping where it costs: as for any provider.
      memo: slow,
      limits: slow ? { ...local.limits, maxInputs: EMBED_BATCH } : local.limits,
      embed: async (texts) => {
        try {
          return await embed(texts, version);
        } catch (error) {
          if (!(error instanceof RateLimited)) throw error;
          const { retryAfterMs } = error;
          throw new PlatformError('EMBEDDER_RATE_LIMITED', error.message, {
            extensions: { retryAfterMs },
          });
        }
      },
    }),
    inputs: () => inputs,
    reset: () => {
      inputs = 0;
    },
    crashAfter: (more) => {
      left = more;
    },
    close: () => local.close(),
  };
}
