import type { Random } from './random.js';

// In a sandboxed context every use of a global is a lookup through an interceptor; hot loops take it once.
const { floor } = Math;

/** Draws one binomial count, 0 … trials. */
export type BinomialSampler = (random: Random) => number;

/** Terms this far below the mode cannot change a cumulative sum of doubles. */
const NEGLIGIBLE = 1e-19;

function tailFromMode(
  trials: number,
  odds: number,
  mode: number,
): { first: number; terms: number[] } {
  const below: number[] = [];
  let term = 1;
  for (let k = mode; k > 0; k--) {
    term *= k / ((trials - k + 1) * odds);
    if (term < NEGLIGIBLE) break;
    below.push(term);
  }
  const terms = below.reverse();
  const first = mode - terms.length;
  terms.push(1);
  term = 1;
  for (let k = mode; k < trials; k++) {
    term *= ((trials - k) * odds) / (k + 1);
    if (term < NEGLIGIBLE) break;
    terms.push(term);
  }
  return { first, terms };
}

/**
 * Exact binomial sampling by inversion of a table with a guide (Devroye, Non-Uniform Random Variate Generation, 1986,
 * III.2.4). The table is built outward from the mode by the ratio of neighbouring terms, so only the four basic
 * operations are used and every platform builds the same table. Cost: O(√trials) once, O(1) a draw.
 * @param trials integer ≥ 0
 * @param probability of success, 0 … 1
 */
export function createBinomialSampler(trials: number, probability: number): BinomialSampler {
  if (trials === 0 || probability <= 0) return () => 0;
  if (probability >= 1) return () => trials;
  const mode = Math.min(trials, floor((trials + 1) * probability));
  const { first, terms } = tailFromMode(trials, probability / (1 - probability), mode);
  const size = terms.length;
  const cumulative = new Float64Array(size);
  let total = 0;
  for (let i = 0; i < size; i++) cumulative[i] = total += terms[i] ?? 0;
  const guide = new Uint32Array(size);
  for (let slot = 0, at = 0; slot < size; slot++) {
    while (at < size - 1 && (cumulative[at] ?? 0) <= (slot * total) / size) at++;
    guide[slot] = at;
  }
  return (random) => {
    const u = random.uniform();
    let at = guide[floor(u * size)] ?? 0;
    const target = u * total;
    while (at < size - 1 && (cumulative[at] ?? 0) <= target) at++;
    return first + at;
  };
}

/** Draws binomial counts of one probability and changing numbers of trials; tables are kept per number of trials. */
export function createBinomialFamily(
  probability: number,
): (trials: number, random: Random) => number {
  const samplers = new Map<number, BinomialSampler>();
  return (trials, random) => {
    let sampler = samplers.get(trials);
    if (sampler === undefined) {
      sampler = createBinomialSampler(trials, probability);
      samplers.set(trials, sampler);
    }
    return sampler(random);
  };
}
