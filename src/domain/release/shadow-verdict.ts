import { z } from 'zod';
import { bootstrapAccuracyDifference, percentileInterval } from '../evaluation/bootstrap.js';
import { confidenceSequence, mcnemarExact, wilson } from '../evaluation/intervals.js';
import type { Interval } from '../evaluation/intervals.js';
import { roundSignificant } from '../evaluation/round-significant.js';
import { WHOLE_BP } from '../units.js';

/**
 * Bounds of a shadow; all of them travel as input. The harm test looks from `minHarmPairs` pairs on (never later than
 * `minPairs`), because a bound of 1 % cannot be judged on a handful; a candidate that fails half of 20 pairs is broken
 * and needs no statistics. `latencyTailBp` is the share of pairs that may be slow: the champion exceeds its own 95th
 * percentile in 5 %.
 */
export const shadowBoundsSchema = z.object({
  minPairs: z.int().min(1).default(1_000),
  minDurationMs: z.int().min(0).default(86_400_000),
  maxDurationMs: z.int().min(1).default(604_800_000),
  maxDisagreementBp: z.int().min(1).max(9_999).default(500),
  maxErrorRateBp: z.int().min(0).max(9_999).default(100),
  maxLatencyRatio: z.number().min(1).default(1.25),
  latencyTailBp: z.int().min(1).max(9_999).default(500),
  minHarmPairs: z.int().min(1).default(100),
  /** How long after `minDurationMs` a breach waits for labels; absent: none are expected. */
  labelWaitMs: z.int().min(0).optional(),
  /** Non-inferiority margin of the accuracy difference on labelled pairs. */
  margin: z.number().min(0).max(1).default(0.01),
  /** Level of the confidence sequence and of McNemar's test. */
  alpha: z.number().gt(0).lt(0.5).default(0.05),
  /** Of the paired bootstrap; integer, 0 ≤ seed < 2^53. */
  seed: z.int().min(0).default(0),
});
export type ShadowBounds = z.infer<typeof shadowBoundsSchema>;

/** Aggregate of the pairs so far. */
export interface ShadowCounts {
  /** Pairs with an outcome: the candidate answered or failed. */
  pairs: number;
  /** Pairs on which the candidate failed, timed out or broke its output contract. */
  errors: number;
  /** Pairs answered by the candidate later than `maxLatencyRatio` × the champion's 95th percentile over these pairs. */
  slow: number;
  /** Pairs on which both answered and their decisions differ. */
  disagreements: number;
  /** Pairs on which both answered and the truth is known; undefined if no label is there. */
  labelled?: { n: number; candidateOnly: number; championOnly: number };
  /** Since collecting began, by the database clock. */
  elapsedMs: number;
}

/** One check as the report shows it, numbers rounded to 12 significant digits. */
interface ShadowCheck {
  check: 'errors' | 'latency' | 'disagreement' | 'labels';
  verdict: 'PASS' | 'FAIL' | 'REVIEW' | 'INCONCLUSIVE';
  value: number | null;
  interval: Interval | null;
  n: number;
  bound: number;
  /** Labels only: exact two-sided McNemar. */
  p?: number | null;
}

/** What the tick decides. COLLECTING goes on; the others end the shadow. */
export interface ShadowVerdict {
  state: 'COLLECTING' | 'PASSED' | 'REVIEW' | 'FAILED' | 'INCONCLUSIVE';
  reason:
    | 'ERRORS'
    | 'LATENCY'
    | 'LABELS'
    | 'DISAGREEMENT'
    | 'MAX_DURATION'
    | 'MORE_PAIRS'
    | 'MORE_TIME'
    | 'WAITING_FOR_LABELS';
  checks: ShadowCheck[];
}

/** From this many pairs on a candidate that fails half of them is refused without further statistics. */
const BROKEN_PAIRS = 20;

const share = (part: number, whole: number): number | null =>
  whole === 0 ? null : roundSignificant(part / whole);
const round = ({ low, high }: Interval): Interval => ({
  low: roundSignificant(low) ?? 0,
  high: roundSignificant(high) ?? 0,
});

/** A share that must not exceed a bound: FAIL once its Wilson lower end is above it. */
function judgeHarm(
  check: 'errors' | 'latency',
  count: { bad: number; n: number; boundBp: number },
  looksFrom: number,
): ShadowCheck {
  const { bad, n, boundBp } = count;
  const bound = boundBp / WHOLE_BP;
  const interval = round(wilson(bad, n));
  const broken = n >= BROKEN_PAIRS && 2 * bad >= n;
  const harm = broken || (n >= looksFrom && interval.low > bound);
  const verdict = harm ? 'FAIL' : interval.high <= bound ? 'PASS' : 'INCONCLUSIVE';
  return { check, verdict, value: share(bad, n), interval, n, bound };
}

/** Disagreement alone never fails a candidate: a better model disagrees as well. */
function judgeDisagreement(counts: ShadowCounts, bounds: ShadowBounds): ShadowCheck {
  const answered = counts.pairs - counts.errors;
  const bound = bounds.maxDisagreementBp / WHOLE_BP;
  const interval = round(confidenceSequence(counts.disagreements, answered, bounds.alpha));
  const verdict =
    interval.low > bound
      ? 'REVIEW'
      : interval.high <= bound && answered >= bounds.minPairs
        ? 'PASS'
        : 'INCONCLUSIVE';
  const value = share(counts.disagreements, answered);
  return { check: 'disagreement', verdict, value, interval, n: answered, bound };
}

/**
 * FAIL if McNemar's test says worse and the upper end of the paired difference is beyond the margin; PASS if its lower
 * end is inside; from `minPairs` labelled pairs on.
 */
function judgeLabels(
  labelled: NonNullable<ShadowCounts['labelled']>,
  bounds: ShadowBounds,
): ShadowCheck {
  const { n, candidateOnly, championOnly } = labelled;
  const p = roundSignificant(mcnemarExact(candidateOnly, championOnly));
  const value = share(candidateOnly - championOnly, n);
  const head = { check: 'labels' as const, value, n, bound: -bounds.margin, p };
  if (n < bounds.minPairs) return { ...head, verdict: 'INCONCLUSIVE', interval: null };
  const samples = bootstrapAccuracyDifference(
    { n, firstOnly: candidateOnly, secondOnly: championOnly },
    { seed: bounds.seed, stream: 'shadow/labels' },
  );
  const interval = round(percentileInterval(samples) ?? { low: -1, high: 1 });
  if (interval.low > -bounds.margin) return { ...head, verdict: 'PASS', interval };
  const worse = interval.high < -bounds.margin && (p ?? 1) < bounds.alpha;
  return { ...head, verdict: worse ? 'FAIL' : 'INCONCLUSIVE', interval };
}

/**
 * Verdict of one tick of a shadow.
 *
 * Errors or latency beyond their bounds (Wilson lower end above the bound) fail the candidate. Otherwise labels decide
 * where `minPairs` pairs carry them, whatever the disagreement. Without them the confidence sequence of the disagreement
 * decides: above the bound is REVIEW, at or below it with `minPairs` and `minDurationMs` reached is PASSED. A breach
 * waits for labels for as long as `labelWaitMs` allows. At `maxDurationMs` what is left is INCONCLUSIVE.
 */
export function judgeShadow(counts: ShadowCounts, bounds: ShadowBounds): ShadowVerdict {
  const looksFrom = Math.min(bounds.minPairs, bounds.minHarmPairs);
  const { pairs, errors, slow, elapsedMs } = counts;
  const harm = [
    judgeHarm('errors', { bad: errors, n: pairs, boundBp: bounds.maxErrorRateBp }, looksFrom),
    judgeHarm(
      'latency',
      { bad: slow, n: pairs - errors, boundBp: bounds.latencyTailBp },
      looksFrom,
    ),
  ] as const;
  const disagreement = judgeDisagreement(counts, bounds);
  const labels = counts.labelled === undefined ? undefined : judgeLabels(counts.labelled, bounds);
  const checks = [...harm, disagreement, ...(labels === undefined ? [] : [labels])];
  const end = (state: ShadowVerdict['state'], reason: ShadowVerdict['reason']): ShadowVerdict => ({
    state,
    reason,
    checks,
  });
  if (harm[0].verdict === 'FAIL') return end('FAILED', 'ERRORS');
  if (harm[1].verdict === 'FAIL') return end('FAILED', 'LATENCY');
  if (labels?.verdict === 'FAIL') return end('FAILED', 'LABELS');
  const longEnough = elapsedMs >= bounds.minDurationMs;
  const over = elapsedMs >= bounds.maxDurationMs;
  if (labels?.verdict === 'PASS' && longEnough) return end('PASSED', 'LABELS');
  // Labels that are there in number but undecided are evidence too: only more of them can end the shadow early.
  const undecided = labels !== undefined && labels.n >= bounds.minPairs;
  if (undecided && !over)
    return end('COLLECTING', labels.verdict === 'PASS' ? 'MORE_TIME' : 'MORE_PAIRS');
  if (disagreement.verdict === 'REVIEW') {
    const waiting =
      bounds.labelWaitMs !== undefined && elapsedMs < bounds.minDurationMs + bounds.labelWaitMs;
    return waiting && !over
      ? end('COLLECTING', 'WAITING_FOR_LABELS')
      : end('REVIEW', 'DISAGREEMENT');
  }
  if (disagreement.verdict === 'PASS' && longEnough && !undecided)
    return end('PASSED', 'DISAGREEMENT');
  if (over) return end('INCONCLUSIVE', 'MAX_DURATION');
  return end('COLLECTING', disagreement.verdict === 'PASS' ? 'MORE_TIME' : 'MORE_PAIRS');
}
