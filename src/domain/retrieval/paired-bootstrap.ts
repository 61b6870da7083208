import { bootstrap, percentileInterval } from '../evaluation/bootstrap.js';

/** How two generations are compared. */
export interface Comparison {
  /** Integer, 0 ≤ seed < 2^53. */
  seed: number;
  /** By how much the mean may be worse and still pass; 0.01 by default, ≥ 0. */
  epsilon?: number | undefined;
}

/** The mean of the paired differences, its 95 % interval, and what follows. */
export interface Compared {
  verdict: 'PASS' | 'FAIL' | 'INCONCLUSIVE';
  queries: number;
  difference: number;
  low: number;
  high: number;
  epsilon: number;
  /** Whether the interval lies above 0: significantly better, which PASS does not ask for. */
  better: boolean;
}

/** Queries below which nothing is decided. */
const MIN_COMPARED_QUERIES = 50;
const DEFAULT_EPSILON = 0.01;
const RESAMPLES = 4_000;

/**
 * Non-inferiority by a paired bootstrap over queries: 4,000 seeded resamples of the differences `candidate − baseline`,
 * percentile interval (Efron and Tibshirani, 1993, §13.3; pairing by query as in Sakai, SIGIR 2006). PASS where the
 * lower end of the 95 % interval is ≥ −ε, FAIL where the upper end is below −ε, else INCONCLUSIVE, as with fewer than
 * 50 queries.
 * @param candidate one value per query, in the order of `baseline`
 * @throws TypeError where the two differ in length
 */
export function pairedBootstrap(
  candidate: readonly number[],
  baseline: readonly number[],
  { seed, epsilon = DEFAULT_EPSILON }: Comparison,
): Compared {
  if (candidate.length !== baseline.length)
    throw new TypeError('both sides answer the same queries');
  const queries = candidate.length;
  const differences = Float64Array.from(candidate, (value, at) => value - (baseline[at] ?? 0));
  const mean = (weights: Uint32Array | undefined): number => {
    let sum = 0;
    for (let at = 0; at < queries; at++)
      sum += (differences[at] ?? 0) * (weights === undefined ? 1 : (weights[at] ?? 0));
    return sum / queries;
  };
  const interval =
    queries === 0
      ? null
      : percentileInterval(
          bootstrap(queries, mean, { seed, stream: 'retrieval-ndcg', resamples: RESAMPLES }),
        );
  const { low, high } = interval ?? { low: 0, high: 0 };
  const decided = low >= -epsilon ? 'PASS' : high < -epsilon ? 'FAIL' : 'INCONCLUSIVE';
  return {
    verdict: queries < MIN_COMPARED_QUERIES ? 'INCONCLUSIVE' : decided,
    queries,
    difference: queries === 0 ? 0 : mean(undefined),
    low,
    high,
    epsilon,
    better: queries >= MIN_COMPARED_QUERIES && low > 0,
  };
}
