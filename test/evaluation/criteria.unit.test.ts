import fc from 'fast-check';
import {
  criteriaSchema,
  criterionSchema,
  evaluationPolicySchema,
  judgeCriterion,
  judgeOverall,
} from '../../src/domain/evaluation/criteria.js';
import type { CriterionVerdict, Measured } from '../../src/domain/evaluation/criteria.js';
import { defaultPolicy } from '../../src/domain/evaluation/default-policy.js';

const absolute = {
  id: 'accuracy',
  metric: 'accuracy',
  op: 'gte',
  threshold: 0.8,
  vs: 'absolute',
  severity: 'block',
} as const;
const versus = { ...absolute, threshold: undefined, vs: 'champion' } as const;
const criterion = (changes: object = {}) => criterionSchema.parse({ ...absolute, ...changes });
const against = (changes: object = {}) => criterionSchema.parse({ ...versus, ...changes });

const sampled = (low: number, high: number, more: object = {}): Measured => ({
  kind: 'sampled',
  value: (low + high) / 2,
  interval: { low, high },
  n: 5_000,
  positives: 2_500,
  negatives: 2_500,
  ...more,
});
const verdict = (measured: Measured, changes?: object) =>
  judgeCriterion(measured, criterion(changes)).verdict;

describe('an absolute criterion', () => {
  it('passes only if the bad end satisfies the bound and fails only if the good end violates it', () => {
    expect(verdict(sampled(0.8, 0.82))).toBe('PASS');
    expect(verdict(sampled(0.79, 0.82))).toBe('INCONCLUSIVE');
    expect(verdict(sampled(0.78, 0.8))).toBe('INCONCLUSIVE');
    expect(verdict(sampled(0.78, 0.7999))).toBe('FAIL');
    const lower = { metric: 'ece', op: 'lte', threshold: 0.1 };
    expect(verdict(sampled(0.05, 0.1), lower)).toBe('PASS');
    expect(verdict(sampled(0.1, 0.2), lower)).toBe('INCONCLUSIVE');
    expect(verdict(sampled(0.1001, 0.2), lower)).toBe('FAIL');
  });

  it('is not decided by the last bits of a double: .4 − .3 satisfies a bound of .1', () => {
    const bound = { metric: 'demographic_parity_difference', op: 'lte', threshold: 0.1 };
    expect(0.4 - 0.3).toBeGreaterThan(0.1);
    expect(verdict(sampled(0.02, 0.4 - 0.3), bound)).toBe('PASS');
  });

  it('never passes without enough rows, positives or negatives, and says which are missing', () => {
    const judged = (more: object, changes?: object) =>
      judgeCriterion(sampled(0.9, 0.95, more), criterion(changes));
    expect(judged({ n: 999 })).toMatchObject({
      verdict: 'INCONCLUSIVE',
      reason: 'INSUFFICIENT_ROWS',
      n: 999,
    });
    expect(judged({ n: 1_000 }).verdict).toBe('PASS');
    expect(judged({ positives: 9 }, { minPos: 10 }).reason).toBe('INSUFFICIENT_POSITIVES');
    expect(judged({ negatives: 9 }, { minNeg: 10 }).reason).toBe('INSUFFICIENT_NEGATIVES');
    expect(judged({ insufficient: ['c'] }).reason).toBe('INSUFFICIENT_EVIDENCE');
  });

  it('is an ERROR where the metric has no value or no interval', () => {
    expect(judgeCriterion(sampled(0.9, 0.95, { value: NaN }), criterion())).toMatchObject({
      verdict: 'ERROR',
      reason: 'METRIC_UNDEFINED',
    });
    expect(verdict(sampled(0.9, 0.95, { interval: null }))).toBe('ERROR');
  });

  it('moves from FAIL over INCONCLUSIVE to PASS as the interval moves up, and never back', () => {
    const rank = { FAIL: 0, INCONCLUSIVE: 1, PASS: 2, ERROR: NaN, SKIPPED: NaN } satisfies Record<
      CriterionVerdict,
      number
    >;
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(unit, unit, unit, (low, width, shift) => {
        const before = rank[verdict(sampled(low, low + width))];
        const after = rank[verdict(sampled(low + shift, low + width + shift))];
        expect(after).toBeGreaterThanOrEqual(before);
      }),
    );
  });
});

describe('a comparison with the champion', () => {
  const compare = (low: number, high: number, changes?: object) =>
    judgeCriterion(sampled(low, high), against(changes)).verdict;

  it('passes if the lower end is above −margin and fails if the upper end is below it', () => {
    expect(compare(-0.0099, 0.02)).toBe('PASS');
    expect(compare(-0.01, 0.02)).toBe('INCONCLUSIVE');
    expect(compare(-0.021, -0.0101)).toBe('FAIL');
    expect(compare(-0.021, -0.01)).toBe('INCONCLUSIVE');
    expect(compare(-0.021, -0.0101, { margin: 0.05 })).toBe('PASS');
  });

  it('turns the sign for metrics of which less is better, with margin .02 for fairness', () => {
    const fairness = { metric: 'demographic_parity_difference', op: 'lte' };
    expect(compare(-0.1, 0.0199, fairness)).toBe('PASS');
    expect(compare(0.0201, 0.1, fairness)).toBe('FAIL');
    expect(compare(-0.1, 0.03, fairness)).toBe('INCONCLUSIVE');
  });

  it('is recorded as skipped without a champion, or judged by the bound that the policy gives for that', () => {
    const absent: Measured = {
      kind: 'absent',
      reference: 'champion',
      absolute: sampled(0.85, 0.87),
    };
    expect(judgeCriterion(absent, against())).toEqual({
      verdict: 'SKIPPED',
      reason: 'NO_CHAMPION',
      value: null,
      interval: null,
      n: null,
    });
    const bound = (threshold: number) => against({ whenNoChampion: { op: 'gte', threshold } });
    expect(judgeCriterion(absent, bound(0.8))).toMatchObject({
      verdict: 'PASS',
      interval: { low: 0.85, high: 0.87 },
    });
    expect(judgeCriterion(absent, bound(0.9)).verdict).toBe('FAIL');
  });
});

describe('a criterion on a fact', () => {
  const leak = criterion({ metric: 'leak_share', op: 'lte', threshold: 0.01 });
  const fact = (value: number): Measured => ({
    kind: 'fact',
    value,
    n: 300,
    failure: 'EVALUATION_LEAK',
  });

  it('has no interval and no minimum of rows, and names its failure', () => {
    expect(judgeCriterion(fact(0.01), leak)).toEqual({
      verdict: 'PASS',
      value: 0.01,
      interval: null,
      n: 300,
    });
    expect(judgeCriterion(fact(0.0101), leak)).toMatchObject({
      verdict: 'FAIL',
      reason: 'EVALUATION_LEAK',
    });
  });

  it('is an ERROR, never a PASS, where the check was not made', () => {
    const unmeasured: Measured = {
      kind: 'unmeasured',
      verdict: 'ERROR',
      reason: 'LEAK_NOT_CHECKED',
    };
    expect(judgeCriterion(unmeasured, leak)).toMatchObject({
      verdict: 'ERROR',
      reason: 'LEAK_NOT_CHECKED',
    });
  });
});

describe('the overall verdict', () => {
  const result = (verdictOf: CriterionVerdict, severity: 'block' | 'warn' = 'block') => ({
    verdict: verdictOf,
    severity,
  });

  it('is the worst blocking one: FAIL, then ERROR, then INCONCLUSIVE, then PASS', () => {
    const verdicts = fc.array(
      fc.record({
        verdict: fc.constantFrom<CriterionVerdict>(
          'PASS',
          'FAIL',
          'INCONCLUSIVE',
          'ERROR',
          'SKIPPED',
        ),
        severity: fc.constantFrom<'block' | 'warn'>('block', 'warn'),
      }),
    );
    fc.assert(
      fc.property(verdicts, (results) => {
        const blocking = results
          .filter(({ severity }) => severity === 'block')
          .map((r) => r.verdict);
        const expected = blocking.includes('FAIL')
          ? 'FAIL'
          : blocking.includes('ERROR')
            ? 'ERROR'
            : blocking.includes('INCONCLUSIVE')
              ? 'INCONCLUSIVE'
              : 'PASS';
        expect(judgeOverall(results)).toBe(expected);
      }),
    );
  });

  it('is not moved by warnings or skipped comparisons', () => {
    expect(judgeOverall([result('PASS'), result('FAIL', 'warn'), result('SKIPPED')])).toBe('PASS');
  });
});

describe('policies as data', () => {
  it('refuse unknown keys, doubled ids, empty lists and bounds that contradict the metric', () => {
    const refused = (changes: object) =>
      criterionSchema.safeParse({ ...absolute, ...changes }).success === false;
    expect(refused({ surprise: 1 })).toBe(true);
    expect(refused({ threshold: undefined })).toBe(true);
    expect(refused({ margin: 0.01 })).toBe(true);
    expect(refused({ vs: 'champion', op: 'lte' })).toBe(true);
    expect(refused({ vs: 'champion', metric: 'leak_share', op: 'lte' })).toBe(true);
    expect(refused({ ci: 1 })).toBe(true);
    expect(refused({ metric: 'vibes' })).toBe(true);
    expect(criteriaSchema.safeParse([absolute, absolute]).success).toBe(false);
    expect(criteriaSchema.safeParse([]).success).toBe(false);
  });

  it('fill in the documented defaults', () => {
    expect(criterion()).toEqual({
      ...absolute,
      whenNoChampion: 'skip',
      ci: 0.95,
      minN: 1_000,
      onInconclusive: 'block',
      waivable: false,
    });
  });

  it('start with `default` revision 1: quality, contract, leak and artifact block, fairness warns', () => {
    expect(evaluationPolicySchema.parse(defaultPolicy)).toEqual(defaultPolicy);
    const severities = Object.fromEntries(
      defaultPolicy.criteria.map(({ id, severity }) => [id, severity]),
    );
    expect(severities).toEqual({
      accuracy: 'block',
      'accuracy-vs-champion': 'block',
      'contract-compat': 'block',
      leak: 'block',
      'artifact-scan': 'block',
      'beats-majority': 'warn',
      'demographic-parity': 'warn',
      'equalized-odds': 'warn',
      'parity-ratio-vs-champion': 'warn',
    });
  });

  it('survive a trip through JSON unchanged', () => {
    expect(JSON.parse(JSON.stringify(defaultPolicy))).toEqual(defaultPolicy);
  });
});
