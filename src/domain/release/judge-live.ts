import { wilson } from '../evaluation/intervals.js';
import { roundSignificant } from '../evaluation/round-significant.js';
import { WHOLE_BP } from '../units.js';
import type { ReleaseCheck } from './contract.js';

/** From this many requests on, a version that fails half of them is broken, whatever the statistics say (§8.3). */
const BREAKER_REQUESTS = 20;

const rounded = (bad: number, n: number) => {
  const { low, high } = wilson(bad, n);
  return { low: roundSignificant(low) ?? 0, high: roundSignificant(high) ?? 0 };
};

/**
 * Error rate of the promoted version: FAIL if the Wilson lower end is above the bound or half of at least 20 requests
 * failed, PASS if the upper end is inside. No traffic is INCONCLUSIVE.
 * @param counts requests under the promoted epoch, and those that failed or were answered by another version
 * @param boundBp basis points
 */
export function judgeErrorRate(
  counts: { n: number; errors: number },
  boundBp: number,
): ReleaseCheck {
  const { n, errors } = counts;
  const bound = boundBp / WHOLE_BP;
  if (n === 0) {
    return { check: 'error_rate', verdict: 'INCONCLUSIVE', value: null, interval: null, n, bound };
  }
  const interval = rounded(errors, n);
  const broken = n >= BREAKER_REQUESTS && 2 * errors >= n;
  const verdict =
    broken || interval.low > bound ? 'FAIL' : interval.high <= bound ? 'PASS' : 'INCONCLUSIVE';
  const value = roundSignificant(errors / n);
  return { check: 'error_rate', verdict, value, interval, n, bound };
}

/**
 * Accuracy by labels against the accuracy of the evaluation report: FAIL if the Wilson upper end is below the
 * reference less the margin, PASS if the lower end is above it, from `minLabels` on.
 * @param counts labelled decisions of the promoted version, and those it got right
 * @param bound reference accuracy 0 … 1, margin in basis points, smallest number of labels
 */
export function judgeLabelAccuracy(
  counts: { n: number; correct: number },
  bound: { reference: number; marginBp: number; minLabels: number },
): ReleaseCheck {
  const { n, correct } = counts;
  const limit = bound.reference - bound.marginBp / WHOLE_BP;
  const head = { check: 'label_error', n, bound: roundSignificant(limit) ?? 0 };
  if (n === 0) return { ...head, verdict: 'INCONCLUSIVE', value: null, interval: null };
  const interval = rounded(correct, n);
  const value = roundSignificant(correct / n);
  if (n < bound.minLabels) return { ...head, verdict: 'INCONCLUSIVE', value, interval };
  const verdict = interval.high < limit ? 'FAIL' : interval.low >= limit ? 'PASS' : 'INCONCLUSIVE';
  return { ...head, verdict, value, interval };
}
