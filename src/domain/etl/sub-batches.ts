import type { EmbedderLimits } from './embedder.js';

/** Texts whose vectors are stored together: a crash repeats at most this many paid embeds (etl.md §9). */
export const subBatchTexts = 256;

/**
 * Splits positions 0 … n−1 into runs, in order, such that each run has at most `maxInputs` texts and
 * `maxTokensPerRequest` tokens. A text above
 * `maxTokensPerInput` is the embedder's to refuse; above `maxTokensPerRequest` it makes a run of its own.
 * @param tokenCounts tokens of each text
 */
export function subBatches(
  tokenCounts: readonly number[],
  limits: EmbedderLimits,
): { start: number; end: number }[] {
  const runs: { start: number; end: number }[] = [];
  let start = 0;
  let tokens = 0;
  for (const [at, count] of tokenCounts.entries()) {
    const isFull = at - start >= limits.maxInputs || tokens + count > limits.maxTokensPerRequest;
    if (at > start && isFull) {
      runs.push({ start, end: at });
      start = at;
      tokens = 0;
    }
    tokens += count;
  }
  if (start < tokenCounts.length) runs.push({ start, end: tokenCounts.length });
  return runs;
}
