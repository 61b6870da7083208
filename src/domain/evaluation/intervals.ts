// In a sandboxed context every use of a global is a lookup through an interceptor; hot loops take it once.
const { abs, exp, hypot, LN2, log, log1p, max, min, PI, sqrt } = Math;

/** A closed interval; both ends in the unit of the value that it belongs to. */
export interface Interval {
  low: number;
  high: number;
}

/** 97.5 % point of the standard normal distribution, as printed in the tables that the golden values use. */
const Z_95 = 1.959964;

/**
 * Score interval of a rate (Wilson, JASA 22, 1927).
 * @param successes integer, 0 … n
 * @param n integer; 0 gives [0, 1], nothing is known
 * @param z normal quantile of the two-sided confidence, 95 % by default
 */
export function wilson(successes: number, n: number, z = Z_95): Interval {
  if (n === 0) return { low: 0, high: 1 };
  const rate = successes / n;
  const scale = 1 + (z * z) / n;
  const centre = (rate + (z * z) / (2 * n)) / scale;
  const half = (z * sqrt((rate * (1 - rate)) / n + (z * z) / (4 * n * n))) / scale;
  return {
    low: successes === 0 ? 0 : max(0, centre - half),
    high: successes === n ? 1 : min(1, centre + half),
  };
}

/** A count of successes among n trials. */
export interface Count {
  successes: number;
  n: number;
}

/**
 * Hybrid score interval of the difference of two independent rates, first minus second (Newcombe, Statistics in
 * Medicine 17, 1998, method 10). Both n ≥ 1.
 */
export function newcombe(first: Count, second: Count, z = Z_95): Interval {
  const p1 = first.successes / first.n;
  const p2 = second.successes / second.n;
  const one = wilson(first.successes, first.n, z);
  const two = wilson(second.successes, second.n, z);
  return {
    low: p1 - p2 - hypot(p1 - one.low, two.high - p2),
    high: p1 - p2 + hypot(one.high - p1, p2 - two.low),
  };
}

const LANCZOS = [
  676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** ln Γ(x) for x > 0 (Lanczos, g = 7, nine terms); relative error about 1e-14. */
function logGamma(x: number): number {
  const y = x - 1;
  let series = 0.99999999999980993;
  for (let i = 0; i < LANCZOS.length; i++) series += (LANCZOS[i] as number) / (y + i + 1);
  const t = y + 7.5;
  return 0.5 * log(2 * PI) + (y + 0.5) * log(t) - t + log(series);
}

const logChoose = (n: number, k: number): number =>
  logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);

/**
 * Exact McNemar test: two-sided binomial(b, b + c, ½), twice the smaller tail, at most 1 (McNemar, Psychometrika 12,
 * 1947; exact form). Without discordant pairs p is 1.
 * @param b pairs of which only the first is right
 * @param c pairs of which only the second is right
 */
export function mcnemarExact(b: number, c: number): number {
  const n = b + c;
  let tail = 0;
  for (let k = 0; k <= min(b, c); k++) tail += exp(logChoose(n, k) - n * LN2);
  return min(1, 2 * tail);
}

/**
 * Confidence sequence of a rate: {p : (n + 1)·C(n, S)·p^S·(1 − p)^(n − S) ≥ α} (Robbins, Annals of Mathematical
 * Statistics 41, 1970; beta-binomial mixture with a uniform prior). Its coverage of 1 − α holds over all n at once, so
 * one may look as often as one likes. Ends are found by bisection to the last bits of a double.
 * @param successes integer, 0 … n
 * @param n integer; 0 gives [0, 1]
 */
export function confidenceSequence(successes: number, n: number, alpha = 0.05): Interval {
  if (n === 0) return { low: 0, high: 1 };
  const constant = log(n + 1) + logChoose(n, successes) - log(alpha);
  const failures = n - successes;
  const contains = (p: number): boolean =>
    constant +
      (successes === 0 ? 0 : successes * log(p)) +
      (failures === 0 ? 0 : failures * log1p(-p)) >=
    0;
  const bisect = (outside: number, inside: number): number => {
    let [out, into] = [outside, inside];
    for (let step = 0; step < 60 && abs(out - into) > 1e-16; step++) {
      const middle = (out + into) / 2;
      if (contains(middle)) into = middle;
      else out = middle;
    }
    return into;
  };
  const rate = successes / n;
  return {
    low: successes === 0 ? 0 : bisect(0, rate),
    high: failures === 0 ? 1 : bisect(1, rate),
  };
}
