import { digestOf } from '../../src/domain/digest.js';
import { PlatformError } from '../../src/domain/errors.js';
import { evaluationPolicySchema } from '../../src/domain/evaluation/criteria.js';
import { defaultPolicy } from '../../src/domain/evaluation/default-policy.js';
import { evaluateRows } from '../../src/domain/evaluation/evaluate-rows.js';
import type { EvaluationInput } from '../../src/domain/evaluation/evaluation-input.js';
import type { EvaluationReport } from '../../src/domain/evaluation/evaluation-report.js';
import { encodeGroups } from '../../src/domain/evaluation/protected-column.js';
import { createRandom } from '../../src/domain/evaluation/random.js';

/** Sharp scores: accuracy about .875, equal for two groups of about half the rows each. */
function scoredRows(n: number, seed = 1) {
  const random = createRandom(seed, 'scored rows');
  const probabilities = Float64Array.from(
    { length: n },
    () => (random.uniform() < 0.5 ? 0.25 : 0.75) * random.uniform() ** 0.1,
  );
  const labels = Uint8Array.from(
    probabilities,
    (p) => (random.uniform() < 0.125 ? 1 : 0) ^ (p >= 0.5 ? 1 : 0),
  );
  const sex = Array.from({ length: n }, () => (random.uniform() < 0.5 ? 'f' : 'm'));
  return { probabilities, labels, sex };
}

function inputOf(n: number, changes: Partial<EvaluationInput> = {}): EvaluationInput {
  const { probabilities, labels, sex } = scoredRows(n);
  return {
    subject: { version: '3', artifact: 'sha256:a', trainer: 'logistic@1' },
    evaluationSetDigest: 'sha256:b',
    probabilities,
    labels,
    protectedColumns: [encodeGroups('sex', sex)],
    policy: defaultPolicy,
    seed: 7,
    leak: { equalRows: 0, listed: [] },
    contract: { compatible: true, breaks: [], comparedWith: null },
    artifact: { accepted: true, findings: [] },
    ...changes,
  };
}
const digest = (report: EvaluationReport) => digestOf('evaluation-report', report);
const result = (report: EvaluationReport, id: string) =>
  report.criteria.find((criterion) => criterion.id === id);

/** The champion's scores with a share of its right answers turned wrong. */
function worse(probabilities: Float64Array, labels: Uint8Array, share: number): Float64Array {
  const random = createRandom(9, 'worse');
  return probabilities.map((p, i) => {
    const right = (p >= 0.5 ? 1 : 0) === labels[i];
    return right && random.uniform() < share ? 1 - p : p;
  });
}

describe('evaluation report', () => {
  it('has the same digest when the evaluation is run again, and another for another seed, label or policy', () => {
    const first = digest(evaluateRows(inputOf(1_500)));
    expect(digest(evaluateRows(inputOf(1_500)))).toBe(first);
    expect(digest(evaluateRows(inputOf(1_500, { seed: 8 })))).not.toBe(first);
    const flipped = scoredRows(1_500).labels.map((label, i) => (i === 0 ? 1 - label : label));
    expect(digest(evaluateRows(inputOf(1_500, { labels: flipped })))).not.toBe(first);
    const policy = { ...defaultPolicy, revision: 2 };
    expect(digest(evaluateRows(inputOf(1_500, { policy })))).not.toBe(first);
  });

  it('is plain JSON with at most 12 significant digits: nothing is lost on the way to the store', () => {
    const { probabilities } = scoredRows(1_500);
    const report = evaluateRows(inputOf(1_500, { champion: { version: '2', probabilities } }));
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    const numbers = JSON.stringify(report).match(/-?\d+\.\d+(e-?\d+)?/g) ?? [];
    expect(numbers.length).toBeGreaterThan(50);
    for (const text of numbers) expect(Number(Number(text).toPrecision(12))).toBe(Number(text));
  });

  it('does not depend on the order in which criteria are listed, verdict by verdict', () => {
    const turned = { ...defaultPolicy, criteria: [...defaultPolicy.criteria].reverse() };
    const forward = evaluateRows(inputOf(1_500)).criteria;
    const backward = evaluateRows(inputOf(1_500, { policy: turned })).criteria;
    expect([...backward].reverse()).toEqual(forward);
  });

  it('of a good first version passes, with the comparisons recorded as skipped', () => {
    const report = evaluateRows(inputOf(4_000));
    expect(report.overall).toBe('PASS');
    expect(result(report, 'accuracy')).toMatchObject({ verdict: 'PASS', n: 4_000, bound: 0.7 });
    expect(result(report, 'accuracy-vs-champion')).toMatchObject({
      verdict: 'SKIPPED',
      reason: 'NO_CHAMPION',
    });
    expect(result(report, 'demographic-parity')).toMatchObject({
      verdict: 'PASS',
      attribute: 'sex',
    });
    expect(report.fairness[0]?.groups.map(({ rows }) => rows).reduce((a, b) => a + b)).toBe(4_000);
    expect(report.comparisons).toEqual({});
  });

  it('of 300 rows is INCONCLUSIVE INSUFFICIENT_ROWS, which is not a PASS', () => {
    const report = evaluateRows(inputOf(300));
    expect(report.overall).toBe('INCONCLUSIVE');
    expect(result(report, 'accuracy')).toMatchObject({
      verdict: 'INCONCLUSIVE',
      reason: 'INSUFFICIENT_ROWS',
    });
  });

  it('of a version worse than the champion fails on the paired difference, though it passes the absolute bound', () => {
    const { probabilities, labels } = scoredRows(6_000);
    const report = evaluateRows(
      inputOf(6_000, {
        probabilities: worse(probabilities, labels, 0.04),
        champion: { version: '2', probabilities },
      }),
    );
    expect(result(report, 'accuracy')?.verdict).toBe('PASS');
    expect(result(report, 'accuracy-vs-champion')).toMatchObject({ verdict: 'FAIL', bound: 0.01 });
    expect(report.overall).toBe('FAIL');
    const comparison = report.comparisons['champion'];
    expect(comparison?.mcnemar.candidateOnly).toBe(0);
    expect(comparison?.disagreements).toBe(comparison?.mcnemar.referenceOnly);
    expect(comparison?.mcnemar.p).toBeLessThan(1e-15);
    expect(comparison?.differences.accuracy.value).toBeCloseTo(
      -(comparison?.disagreements ?? 0) / 6_000,
      9,
    );
  });

  it.each([
    {
      what: 'a leak above 1 %',
      changes: { leak: { equalRows: 16, listed: ['sha256:x'] } },
      id: 'leak',
      reason: 'EVALUATION_LEAK',
    },
    {
      what: 'a contract break',
      changes: { contract: { compatible: false, breaks: ['age'], comparedWith: '2' } },
      id: 'contract-compat',
      reason: 'CONTRACT_INCOMPATIBLE',
    },
    {
      what: 'a refused artifact',
      changes: { artifact: { accepted: false, findings: ['operator Loop'] } },
      id: 'artifact-scan',
      reason: 'ARTIFACT_REFUSED',
    },
  ])('fails on $what', ({ changes, id, reason }) => {
    const report = evaluateRows(inputOf(1_500, changes));
    expect(result(report, id)).toMatchObject({ verdict: 'FAIL', reason });
    expect(report.overall).toBe('FAIL');
  });

  it.each([
    ['leak', 'leak'],
    ['contract', 'contract-compat'],
    ['artifact', 'artifact-scan'],
  ])('is an ERROR where the %s check could not be made', (check, id) => {
    const report = evaluateRows(inputOf(1_500, { [check]: null }));
    expect(result(report, id)?.verdict).toBe('ERROR');
    expect(report.overall).toBe('ERROR');
  });

  it('is an ERROR, not a number, where a score is no probability', () => {
    const { probabilities } = scoredRows(1_500);
    const report = evaluateRows(inputOf(1_500, { probabilities: probabilities.with(5, NaN) }));
    expect(result(report, 'accuracy')).toMatchObject({
      verdict: 'ERROR',
      reason: 'SCORES_INVALID',
      value: null,
    });
    expect(report.overall).toBe('ERROR');
    const champion = { version: '2', probabilities: probabilities.with(5, 1.5) };
    expect(
      result(evaluateRows(inputOf(1_500, { champion })), 'accuracy-vs-champion'),
    ).toMatchObject({
      verdict: 'ERROR',
      reason: 'REFERENCE_SCORES_INVALID',
    });
  });

  it('is refused for an empty set with EVALUATION_EMPTY, and for arrays of different lengths', () => {
    const empty = {
      probabilities: new Float64Array(0),
      labels: new Uint8Array(0),
      protectedColumns: [],
    };
    expect(() => evaluateRows(inputOf(10, empty))).toThrow(PlatformError);
    expect(() => evaluateRows(inputOf(10, empty))).toThrow('The evaluation set has no rows.');
    expect(() => evaluateRows(inputOf(10, { labels: new Uint8Array(9) }))).toThrow(RangeError);
    expect(() => evaluateRows(inputOf(10, { intersections: [['sex', 'race']] }))).toThrow(
      RangeError,
    );
  });

  it('withholds the fairness verdict for a declared group without rows, and without protected attributes', () => {
    const { sex } = scoredRows(4_000);
    const declared = evaluateRows(
      inputOf(4_000, { protectedColumns: [encodeGroups('sex', sex, ['f', 'm', 'x'])] }),
    );
    expect(result(declared, 'demographic-parity')).toMatchObject({
      verdict: 'INCONCLUSIVE',
      reason: 'INSUFFICIENT_EVIDENCE',
      insufficientGroups: ['x'],
    });
    expect(
      declared.fairness[0]?.groups.map(({ group, rows }) => (rows === 0 ? group : '')),
    ).toContain('x');
    const without = evaluateRows(inputOf(1_500, { protectedColumns: [] }));
    expect(result(without, 'equalized-odds')).toMatchObject({
      verdict: 'INCONCLUSIVE',
      reason: 'NO_PROTECTED_ATTRIBUTE',
    });
  });

  it('takes the worst attribute or intersection as the verdict of a fairness criterion, and lists them all', () => {
    const { probabilities, sex } = scoredRows(4_000);
    const region = Array.from(probabilities, (p) => (p >= 0.5 ? 'north' : 'south'));
    const report = evaluateRows(
      inputOf(4_000, {
        protectedColumns: [encodeGroups('sex', sex), encodeGroups('region', region)],
        intersections: [['sex', 'region']],
      }),
    );
    const parity = result(report, 'demographic-parity');
    expect(parity).toMatchObject({ verdict: 'FAIL', attribute: 'region' });
    expect(parity?.attributes?.map(({ attribute, verdict }) => [attribute, verdict])).toEqual([
      ['sex', 'PASS'],
      ['region', 'FAIL'],
      ['sex & region', 'FAIL'],
    ]);
    expect(report.overall).toBe('PASS');
  });

  it('judges a slice on its own rows only', () => {
    const { probabilities, labels, sex } = scoredRows(4_000);
    const spoiled = probabilities.map((p, i) => (sex[i] === 'f' && i % 2 === 0 ? 1 - p : p));
    const criteria = [
      {
        id: 'f',
        metric: 'accuracy',
        slice: { sex: 'f' },
        op: 'gte',
        threshold: 0.8,
        vs: 'absolute',
        severity: 'block',
      },
      {
        id: 'm',
        metric: 'accuracy',
        slice: { sex: 'm' },
        op: 'gte',
        threshold: 0.8,
        vs: 'absolute',
        severity: 'block',
      },
      {
        id: 'x',
        metric: 'accuracy',
        slice: { sex: 'x' },
        op: 'gte',
        threshold: 0.8,
        vs: 'absolute',
        severity: 'block',
      },
      {
        id: 'none',
        metric: 'accuracy',
        slice: { sex: 'n' },
        op: 'gte',
        threshold: 0.8,
        vs: 'absolute',
        severity: 'block',
      },
    ];
    const policy = evaluationPolicySchema.parse({ name: 'slices', revision: 1, criteria });
    const protectedColumns = [encodeGroups('sex', sex, ['f', 'm', 'n'])];
    const report = evaluateRows(
      inputOf(4_000, { probabilities: spoiled, labels, policy, protectedColumns }),
    );
    expect(result(report, 'f')?.verdict).toBe('FAIL');
    expect(result(report, 'm')?.verdict).toBe('PASS');
    expect((result(report, 'f')?.n ?? 0) + (result(report, 'm')?.n ?? 0)).toBe(4_000);
    expect(result(report, 'x')).toMatchObject({ verdict: 'ERROR', reason: 'SLICE_UNKNOWN' });
    expect(result(report, 'none')).toMatchObject({
      verdict: 'INCONCLUSIVE',
      reason: 'INSUFFICIENT_ROWS',
    });
  });
});
