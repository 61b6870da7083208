/** Population stability of a window against its reference. */
export interface Psi {
  /** Σ (c − r)·ln(c / r) over the bins left after pooling; 0 for a window without rows. */
  psi: number;
  /** Bins left after pooling. */
  bins: number;
}

const MIN_EXPECTED = 5;
const MIN_SHARE = 1e-4;

interface Pair {
  reference: number;
  window: number;
}

const sum = (counts: readonly number[]): number => counts.reduce((total, n) => total + n, 0);
const merge = (a: Pair, b: Pair): Pair => ({
  reference: a.reference + b.reference,
  window: a.window + b.window,
});

function pool(pairs: Pair[], expected: (pair: Pair) => number): Pair[] {
  const large = pairs.filter((pair) => expected(pair) >= MIN_EXPECTED);
  const small = pairs.filter((pair) => expected(pair) < MIN_EXPECTED);
  if (small.length === 0) return large;
  const pooled = small.reduce(merge);
  if (expected(pooled) >= MIN_EXPECTED || large.length === 0) return [...large, pooled];
  const smallest = large.reduce((a, b) => (b.reference < a.reference ? b : a));
  return large.map((pair) => (pair === smallest ? merge(pair, pooled) : pair));
}

/**
 * Population stability index (Lewis 1994) with pooling: bins whose reference share × window rows is below 5 are
 * pooled, and the pool joins the smallest other bin if it is still below 5; shares are floored at 10⁻⁴.
 * @param reference counts of the reference rows by bin
 * @param window counts of the window by the same bins
 */
export function psi(reference: readonly number[], window: readonly number[]): Psi {
  const n = sum(reference);
  const m = sum(window);
  if (n === 0 || m === 0) return { psi: 0, bins: 0 };
  const pairs = reference.map((count, i): Pair => ({ reference: count, window: window[i] ?? 0 }));
  const kept = pool(pairs, (pair) => (pair.reference / n) * m);
  const value = kept.reduce((total, pair) => {
    const r = Math.max(pair.reference / n, MIN_SHARE);
    const c = Math.max(pair.window / m, MIN_SHARE);
    return total + (c - r) * Math.log(c / r);
  }, 0);
  return { psi: value, bins: kept.length };
}

const LANCZOS = [
  676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
];

/** ln Γ(x) for x > 0 (Lanczos 1964, g = 7, nine terms). */
function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const z = x - 1;
  const t = z + 7.5;
  const series = LANCZOS.reduce((total, c, i) => total + c / (z + i + 1), 0.9999999999998099);
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(series);
}

/** Regularised lower incomplete gamma P(a, x) by its power series (Abramowitz and Stegun 6.5.29). */
function lowerGamma(a: number, x: number): number {
  if (x <= 0) return 0;
  let term = 1 / a;
  let total = term;
  for (let n = 1; n < 10_000 && term > total * 1e-16; n++) {
    term *= x / (a + n);
    total += term;
  }
  return Math.min(1, total * Math.exp(a * Math.log(x) - x - logGamma(a)));
}

/**
 * Quantile of the χ² distribution by bisection, to 10⁻¹⁰.
 * @param probability 0 < p < 1
 * @param degrees ≥ 1; below 1 the answer is 0
 */
export function chiSquareQuantile(probability: number, degrees: number): number {
  if (degrees < 1) return 0;
  let low = 0;
  let high = Math.max(1, degrees);
  while (lowerGamma(degrees / 2, high / 2) < probability) high *= 2;
  while (high - low > 1e-10 * Math.max(1, high)) {
    const middle = (low + high) / 2;
    if (lowerGamma(degrees / 2, middle / 2) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * The PSI that sampling alone reaches in 1 % of windows over all monitored fields (Yurdakul 2018, with a
 * Bonferroni share per field): χ² quantile at 1 − 0.01/F with B − 1 degrees of freedom, times 1/N + 1/M.
 */
export const psiNoiseFloor = (size: {
  bins: number;
  referenceRows: number;
  windowRows: number;
  fields: number;
}): number =>
  chiSquareQuantile(1 - 0.01 / size.fields, size.bins - 1) *
  (1 / size.referenceRows + 1 / size.windowRows);
