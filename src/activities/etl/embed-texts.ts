import { PlatformError } from '../../domain/errors.js';
import type { Embedder } from '../../domain/etl/embedder.js';
import { subBatches, subBatchTexts } from '../../domain/etl/sub-batches.js';
import { vectorFault } from '../../domain/etl/vector-check.js';
import type { EtlDeps } from './etl-deps.js';
import { leaseRate, tokenBound } from './lease-rate.js';

/** A text to embed, by the hash that the memo knows it by. */
export interface EmbedTask {
  textHash: string;
  text: string;
}

/** What embedding came to: a vector, nothing to embed in the text, or why there is no vector. */
export type Embedded = { vector: Float32Array } | { none: true } | { fault: string };

const outcomeOf = (vector: Float32Array | undefined, dims: number): Embedded => {
  if (vector === undefined) return { none: true };
  const fault = vectorFault(vector, dims);
  return fault === undefined ? { vector } : { fault };
};

const isRefusal = (error: unknown): boolean =>
  error instanceof PlatformError && error.code === 'EMBEDDER_REFUSED_INPUT';

/** Embeds a run of texts; one that the embedder refuses is found by halving, and the others go on. */
async function embedRun(
  embedder: Embedder,
  run: readonly EmbedTask[],
  signal: AbortSignal,
): Promise<Embedded[]> {
  try {
    const texts = run.map(({ text }) => text);
    const vectors = await embedder.embed(texts, 'document', signal);
    return run.map((_, at) => outcomeOf(vectors[at], embedder.dims));
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (run.length === 1) return [{ fault: 'refused' }];
    const half = Math.ceil(run.length / 2);
    const first = await embedRun(embedder, run.slice(0, half), signal);
    return [...first, ...(await embedRun(embedder, run.slice(half), signal))];
  }
}

/** One more try for texts whose vectors cannot be stored: a provider may answer one call wrongly. */
async function withSecondTry(
  embedder: Embedder,
  run: readonly EmbedTask[],
  signal: AbortSignal,
): Promise<Embedded[]> {
  const first = await embedRun(embedder, run, signal);
  const bad = first.flatMap((found, at) =>
    'fault' in found && found.fault !== 'refused' ? [at] : [],
  );
  if (bad.length === 0) return first;
  const again = await embedRun(
    embedder,
    run.filter((_, at) => bad.includes(at)),
    signal,
  );
  bad.forEach((at, index) => {
    const next = again[index];
    if (next) first[at] = next;
  });
  return first;
}

/**
 * Vectors of texts by their hash: from the memo first, the others in sub-batches of at most 256 that reach the memo at
 * once, so that a crash repeats one paid sub-batch at most. Equal texts are embedded once.
 * @throws EMBEDDER_UNAVAILABLE, EMBEDDER_RATE_LIMITED (retryable), EMBEDDER_MISCONFIGURED
 */
export async function embedTexts(
  deps: Pick<EtlDeps, 'embeddings' | 'failpoint'>,
  of: { tenant: string; embedder: Embedder; signal: AbortSignal; note: () => void },
  tasks: readonly EmbedTask[],
): Promise<Map<string, Embedded>> {
  const { tenant, embedder, signal } = of;
  const byHash = new Map(tasks.map((task) => [task.textHash, task]));
  const found = new Map<string, Embedded>();
  if (embedder.memo && byHash.size > 0) {
    const known = await deps.embeddings.findVectors(tenant, embedder.embedFp, [...byHash.keys()]);
    for (const [textHash, vector] of known) found.set(textHash, outcomeOf(vector, embedder.dims));
  }
  const open = [...byHash.values()].filter(({ textHash }) => !found.has(textHash));
  const limits = {
    ...embedder.limits,
    maxInputs: Math.min(subBatchTexts, embedder.limits.maxInputs),
  };
  for (const { start, end } of subBatches(
    open.map(({ text }) => tokenBound(text)),
    limits,
  )) {
    signal.throwIfAborted();
    const run = open.slice(start, end);
    const tokens = run.reduce((sum, { text }) => sum + tokenBound(text), 0);
    await leaseRate(deps, { tenant, embedder, signal }, tokens);
    const embedded = await withSecondTry(embedder, run, signal);
    await deps.failpoint?.('etl.k5');
    const paid = run.flatMap(({ textHash }, at) => {
      const one = embedded[at];
      if (one) found.set(textHash, one);
      return one && 'vector' in one ? [{ textHash, vector: one.vector }] : [];
    });
    if (embedder.memo && paid.length > 0)
      await deps.embeddings.saveVectors(tenant, embedder.embedFp, paid);
    of.note();
  }
  return found;
}
