import { z } from 'zod';
import type { Verdict } from '../verdict.js';
import { fairnessMetrics } from './fairness.js';
import type { FairnessMetric } from './fairness.js';
import type { Interval } from './intervals.js';
import { rowMetrics } from './metrics.js';
import type { RowMetric } from './metrics.js';
import { roundSignificant } from './round-significant.js';

/**
 * Facts that are counted or checked, not sampled: they have no interval. `contract_compat` and `artifact_scan` are 1
 * (holds) or 0; `leak_share` is a share of the evaluation rows.
 */
const factMetrics = ['contract_compat', 'leak_share', 'artifact_scan'] as const;

/** Everything a criterion can name. */
const criterionMetricSchema = z.enum([...rowMetrics, ...fairnessMetrics, ...factMetrics]);
export type CriterionMetric = z.infer<typeof criterionMetricSchema>;

const operatorSchema = z.enum(['gte', 'lte']);
type Operator = z.infer<typeof operatorSchema>;

const LOWER_IS_BETTER: ReadonlySet<CriterionMetric> = new Set<CriterionMetric>([
  'error',
  'log_loss',
  'brier',
  'ece',
  'expected_cost',
  'demographic_parity_difference',
  'equalized_odds_difference',
  'leak_share',
]);

/** The operator under which more of the metric's good is better. */
const goodDirection = (metric: CriterionMetric): Operator =>
  LOWER_IS_BETTER.has(metric) ? 'lte' : 'gte';

export const isRowMetric = (metric: CriterionMetric): metric is RowMetric =>
  (rowMetrics as readonly string[]).includes(metric);
export const isFairnessMetric = (metric: CriterionMetric): metric is FairnessMetric =>
  (fairnessMetrics as readonly string[]).includes(metric);

/** Margins of non-inferiority where a criterion names none: quality, fairness. */
const QUALITY_MARGIN = 0.01;
const FAIRNESS_MARGIN = 0.02;

/**
 * One criterion of an evaluation policy. `slice` names a group per attribute and restricts the rows to those that
 * match all of them; a fairness metric without it is judged for every declared attribute and intersection, and the
 * worst verdict counts. `threshold` belongs to `vs: absolute`, `margin` (0.01; fairness 0.02) to the comparisons.
 * `minN`, `minPos` and `minNeg` count rows, positives and negatives of the slice. `ci` is the two-sided confidence.
 */
export const criterionSchema = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/),
    metric: criterionMetricSchema,
    slice: z.record(z.string().min(1), z.string().min(1)).optional(),
    op: operatorSchema,
    threshold: z.number().optional(),
    vs: z.enum(['absolute', 'champion', 'previousChampion']),
    margin: z.number().min(0).max(1).optional(),
    whenNoChampion: z
      .union([z.literal('skip'), z.strictObject({ op: operatorSchema, threshold: z.number() })])
      .default('skip'),
    ci: z.number().gt(0.5).lt(1).default(0.95),
    minN: z.int().min(1).default(1_000),
    minPos: z.int().min(0).optional(),
    minNeg: z.int().min(0).optional(),
    severity: z.enum(['block', 'warn']),
    onInconclusive: z.enum(['block', 'review']).default('block'),
    waivable: z.boolean().default(false),
  })
  .superRefine((criterion, context) => {
    const refuse = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (criterion.vs === 'absolute') {
      if (criterion.threshold === undefined) refuse('threshold', 'an absolute criterion needs one');
      if (criterion.margin !== undefined) refuse('margin', 'belongs to a comparison');
      return;
    }
    if (criterion.op !== goodDirection(criterion.metric))
      refuse('op', `better is ${goodDirection(criterion.metric)} for this metric`);
    if ((factMetrics as readonly string[]).includes(criterion.metric))
      refuse('vs', 'this metric is a fact about one version: use absolute');
  });
/** A criterion with its defaults filled in. */
export type Criterion = z.infer<typeof criterionSchema>;

/** The criteria of a policy: at least one, each id once. */
export const criteriaSchema = z
  .array(criterionSchema)
  .min(1)
  .max(100)
  .refine((all) => new Set(all.map(({ id }) => id)).size === all.length, {
    error: 'criterion ids must be unique',
  });

/** An immutable revision of an evaluation policy. */
export const evaluationPolicySchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  revision: z.int().min(1),
  criteria: criteriaSchema,
});
export type EvaluationPolicy = z.infer<typeof evaluationPolicySchema>;

/**
 * What was measured for a criterion. For a comparison, `value` and `interval` are of the difference candidate minus
 * reference. NaN or null say that there is no number.
 */
export type Measured =
  | {
      kind: 'sampled';
      value: number;
      interval: Interval | null;
      n: number;
      positives: number;
      negatives: number;
      /** Named evidence that is missing, which makes the verdict INCONCLUSIVE `INSUFFICIENT_EVIDENCE`. */
      insufficient?: string[];
    }
  | { kind: 'fact'; value: number; n: number | null; failure: string }
  | { kind: 'absent'; reference: 'champion' | 'previousChampion'; absolute: Measured }
  | { kind: 'unmeasured'; verdict: 'ERROR' | 'INCONCLUSIVE'; reason: string };

/** Verdict of one criterion; SKIPPED is a comparison without a champion that the policy allows to skip. */
export type CriterionVerdict = Verdict | 'SKIPPED';

/** A judgement with the numbers it rests on, rounded to 12 significant digits. */
export interface Judgement {
  verdict: CriterionVerdict;
  /** Stable code; absent where the numbers say it all. */
  reason?: string;
  value: number | null;
  interval: { low: number; high: number } | null;
  n: number | null;
}

const rounded = (interval: Interval | null): Judgement['interval'] => {
  if (interval === null) return null;
  const [low, high] = [roundSignificant(interval.low), roundSignificant(interval.high)];
  return low === null || high === null ? null : { low, high };
};

const satisfies = (value: number, op: Operator, bound: number): boolean =>
  op === 'gte' ? value >= bound : value <= bound;

type Sampled = Extract<Measured, { kind: 'sampled' }>;

/** Why a sampled measurement cannot be judged yet, or null. */
function shortage(measured: Sampled, criterion: Criterion): string | null {
  if (measured.n < criterion.minN) return 'INSUFFICIENT_ROWS';
  if (measured.positives < (criterion.minPos ?? 0)) return 'INSUFFICIENT_POSITIVES';
  if (measured.negatives < (criterion.minNeg ?? 0)) return 'INSUFFICIENT_NEGATIVES';
  if ((measured.insufficient ?? []).length > 0) return 'INSUFFICIENT_EVIDENCE';
  return null;
}

/** The margin of a comparison: the criterion's own, else the default of its kind of metric. */
export const marginOf = (criterion: Criterion): number =>
  criterion.margin ?? (isFairnessMetric(criterion.metric) ? FAIRNESS_MARGIN : QUALITY_MARGIN);

/** PASS if the bad end of the interval satisfies the threshold, FAIL if the good end violates it. */
function judgeAbsolute(interval: Interval, op: Operator, threshold: number): Verdict {
  const [bad, good] = op === 'gte' ? [interval.low, interval.high] : [interval.high, interval.low];
  if (satisfies(bad, op, threshold)) return 'PASS';
  return satisfies(good, op, threshold) ? 'INCONCLUSIVE' : 'FAIL';
}

/** Non-inferiority: PASS if the bad end is inside the margin, FAIL if the good end is outside; both strictly. */
function judgeDifference(interval: Interval, op: Operator, margin: number): Verdict {
  const [bad, good] =
    op === 'gte' ? [interval.low, interval.high] : [-interval.high, -interval.low];
  if (bad > -margin) return 'PASS';
  return good < -margin ? 'FAIL' : 'INCONCLUSIVE';
}

function judgeSampled(measured: Sampled, criterion: Criterion): Judgement {
  const value = roundSignificant(measured.value);
  const interval = rounded(measured.interval);
  const numbers = { value, interval, n: measured.n };
  const short = shortage(measured, criterion);
  if (short !== null) return { verdict: 'INCONCLUSIVE', reason: short, ...numbers };
  if (value === null || interval === null)
    return { verdict: 'ERROR', reason: 'METRIC_UNDEFINED', ...numbers };
  const verdict =
    criterion.vs === 'absolute'
      ? judgeAbsolute(interval, criterion.op, criterion.threshold ?? 0)
      : judgeDifference(interval, criterion.op, marginOf(criterion));
  return { verdict, ...numbers };
}

/**
 * Judges one criterion. INCONCLUSIVE reasons: `INSUFFICIENT_ROWS`, `INSUFFICIENT_POSITIVES`, `INSUFFICIENT_NEGATIVES`,
 * `INSUFFICIENT_EVIDENCE`, `NO_PROTECTED_ATTRIBUTE`, or none (the interval spans the bound). ERROR reasons:
 * `METRIC_UNDEFINED` and what the measurement names. SKIPPED: `NO_CHAMPION` or `NO_PREVIOUS_CHAMPION`.
 */
export function judgeCriterion(measured: Measured, criterion: Criterion): Judgement {
  switch (measured.kind) {
    case 'sampled':
      return judgeSampled(measured, criterion);
    case 'fact': {
      const value = roundSignificant(measured.value);
      const numbers = { value, interval: null, n: measured.n };
      if (value === null) return { verdict: 'ERROR', reason: 'METRIC_UNDEFINED', ...numbers };
      return satisfies(value, criterion.op, criterion.threshold ?? 0)
        ? { verdict: 'PASS', ...numbers }
        : { verdict: 'FAIL', reason: measured.failure, ...numbers };
    }
    case 'absent': {
      const { whenNoChampion } = criterion;
      if (whenNoChampion !== 'skip')
        return judgeCriterion(measured.absolute, {
          ...criterion,
          ...whenNoChampion,
          vs: 'absolute',
        });
      const reason = measured.reference === 'champion' ? 'NO_CHAMPION' : 'NO_PREVIOUS_CHAMPION';
      return { verdict: 'SKIPPED', reason, value: null, interval: null, n: null };
    }
    case 'unmeasured':
      return {
        verdict: measured.verdict,
        reason: measured.reason,
        value: null,
        interval: null,
        n: null,
      };
  }
}

/** Worst first: what one criterion over several attributes, or a whole policy, comes to. */
const SEVERITY_ORDER = ['FAIL', 'ERROR', 'INCONCLUSIVE', 'PASS'] as const;

/** The worst of several judgements; the first of equals. Undefined if there is none. */
export function worstJudgement<J extends { verdict: CriterionVerdict }>(
  judgements: readonly J[],
): J | undefined {
  for (const verdict of [...SEVERITY_ORDER, 'SKIPPED'] as const) {
    const found = judgements.find((judgement) => judgement.verdict === verdict);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Overall verdict over the `block` criteria: any FAIL → FAIL; else any ERROR → ERROR; else any INCONCLUSIVE →
 * INCONCLUSIVE; else PASS. Skipped criteria do not count here; the approver has to acknowledge them.
 */
export function judgeOverall(
  results: readonly { verdict: CriterionVerdict; severity: Criterion['severity'] }[],
): Verdict {
  const blocking = new Set(
    results.filter(({ severity }) => severity === 'block').map(({ verdict }) => verdict),
  );
  return SEVERITY_ORDER.find((verdict) => blocking.has(verdict)) ?? 'PASS';
}
