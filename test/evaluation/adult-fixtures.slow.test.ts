import { evaluationPolicySchema } from '../../src/domain/evaluation/criteria.js';
import { defaultPolicy } from '../../src/domain/evaluation/default-policy.js';
import { evaluateRows } from '../../src/domain/evaluation/evaluate-rows.js';
import type { EvaluationReport } from '../../src/domain/evaluation/evaluation-report.js';
import type { Interval } from '../../src/domain/evaluation/intervals.js';
import { countPairs, decide } from '../../src/domain/evaluation/metrics.js';
import { encodeGroups } from '../../src/domain/evaluation/protected-column.js';
import { judgeShadow, shadowBoundsSchema } from '../../src/domain/release/shadow-verdict.js';
import { createPredictor } from '../../src/domain/training/trained-model.js';
import { trainLogistic } from '../../src/domain/training/train-logistic.js';
import { logisticParamsSchema } from '../../src/domain/training/trainer-params.js';
import { createTableBuilder } from '../../src/domain/training/training-table.js';
import { adultFeatures, describeWithData, loadAdult } from '../support/test-data.js';

/** Trains `logistic` with λ 1 on the whole training file without the named inputs and scores the test file. */
function scoreTestFile(without: readonly string[]): Float64Array {
  const { train, test } = loadAdult();
  const builder = createTableBuilder(adultFeatures.filter(({ name }) => !without.includes(name)));
  for (const [at, row] of train.rows.entries()) builder.add(row, train.labels[at] === true);
  const outcome = builder.finish();
  if (!outcome.ok) throw new Error(outcome.code);
  const start = trainLogistic({
    data: { table: outcome.table, classes: ['<=50K', '>50K'] },
    trainer: { kind: 'logistic', params: logisticParamsSchema.parse({}) },
  });
  if (!start.ok) throw new Error(start.failure.message);
  while (start.process.next().kind === 'step');
  return Float64Array.from(test.rows, createPredictor(start.process.model()));
}

interface Adult {
  labels: Uint8Array;
  /** Scores of the test rows by the inputs left out. */
  scores: { full: Float64Array; noCapital: Float64Array; noProtected: Float64Array };
}

let prepared: Adult | undefined;
/** Three models are trained once for all fixtures. */
function adult(): Adult {
  prepared ??= {
    labels: Uint8Array.from(loadAdult().test.labels, Number),
    scores: {
      full: scoreTestFile([]),
      noCapital: scoreTestFile(['capital-gain', 'capital-loss']),
      noProtected: scoreTestFile(['sex', 'race', 'relationship']),
    },
  };
  return prepared;
}

const column = (attribute: 'sex' | 'race') =>
  encodeGroups(
    attribute,
    loadAdult().test.rows.map((row) => String(row[attribute])),
  );

const fairnessCriteria = [
  {
    id: 'parity',
    metric: 'demographic_parity_difference',
    op: 'lte',
    threshold: 0.1,
    vs: 'absolute',
    severity: 'block',
  },
  {
    id: 'ratio',
    metric: 'demographic_parity_ratio',
    op: 'gte',
    threshold: 0.8,
    vs: 'absolute',
    severity: 'block',
  },
  {
    id: 'odds',
    metric: 'equalized_odds_difference',
    op: 'lte',
    threshold: 0.1,
    vs: 'absolute',
    severity: 'block',
  },
];
const policy = evaluationPolicySchema.parse({
  name: 'adult',
  revision: 1,
  criteria: [...defaultPolicy.criteria, ...fairnessCriteria],
});

function evaluate(
  candidate: keyof Adult['scores'],
  attribute: 'sex' | 'race',
  champion?: 'full',
): EvaluationReport {
  const { labels, scores } = adult();
  return evaluateRows({
    subject: { version: candidate },
    evaluationSetDigest: 'adult-test',
    probabilities: scores[candidate],
    labels,
    protectedColumns: [column(attribute)],
    ...(champion && { champion: { version: champion, probabilities: scores[champion] } }),
    policy,
    seed: 0,
    leak: { equalRows: 19, listed: [] },
    contract: { compatible: true, breaks: [], comparedWith: null },
    artifact: { accepted: true, findings: [] },
  });
}

const criterion = (report: EvaluationReport, id: string) => {
  const found = report.criteria.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no criterion ${id}`);
  return found;
};

/** ± .002 on a metric, ± .005 on each end of an interval. */
function expectEstimate(
  { value, interval }: { value: number | null; interval: Interval | null },
  expected: number,
  ends?: [number, number],
): void {
  expect(Math.abs((value ?? NaN) - expected)).toBeLessThanOrEqual(0.002);
  if (ends === undefined) return;
  expect(Math.abs((interval?.low ?? NaN) - ends[0])).toBeLessThanOrEqual(0.005);
  expect(Math.abs((interval?.high ?? NaN) - ends[1])).toBeLessThanOrEqual(0.005);
}

const HOUR_MS = 3_600_000;
const bounds = shadowBoundsSchema.parse({});

/** What a shadow of the candidate beside the full model would count over the first rows of the test file. */
function shadowCounts(candidate: keyof Adult['scores'], rows: number) {
  const { labels, scores } = adult();
  const of = (model: keyof Adult['scores']) => decide(scores[model]).subarray(0, rows);
  const pairs = countPairs(of(candidate), of('full'), labels.subarray(0, rows));
  const counts = {
    pairs: rows,
    errors: 0,
    slow: 0,
    disagreements: pairs.disagreements,
    elapsedMs: 25 * HOUR_MS,
  };
  const labelled = { n: rows, candidateOnly: pairs.firstOnly, championOnly: pairs.secondOnly };
  return { counts, labelled };
}

describeWithData('adult', 'Adult census, official split, logistic regression', () => {
  it('E2: the full model has accuracy .8471, AUC .9030, Brier .1050 and ECE .008 on 15,060 rows', () => {
    const { metrics, evaluationSet } = evaluate('full', 'sex');
    expect(evaluationSet.rows).toBe(15_060);
    expectEstimate(metrics.accuracy, 0.8471);
    expectEstimate(metrics.auc, 0.903);
    expectEstimate(metrics.brier, 0.105);
    expectEstimate(metrics.ece, 0.008);
    expectEstimate(metrics.error, 0.1529);
  });

  it('E5: by sex, parity difference FAILs, and equalized odds on its bound is INCONCLUSIVE', () => {
    const report = evaluate('full', 'sex');
    expectEstimate(criterion(report, 'parity'), 0.184, [0.175, 0.193]);
    expect(criterion(report, 'parity').verdict).toBe('FAIL');
    expectEstimate(criterion(report, 'ratio'), 0.299, [0.276, 0.323]);
    expectEstimate(criterion(report, 'odds'), 0.1, [0.077, 0.143]);
    expect(criterion(report, 'odds').verdict).toBe('INCONCLUSIVE');
    expect(report.overall).toBe('FAIL');
  });

  it('E6: by race, two groups are too small: INCONCLUSIVE INSUFFICIENT_EVIDENCE, both listed', () => {
    const report = evaluate('full', 'race');
    for (const id of ['parity', 'ratio', 'odds'])
      expect(criterion(report, id)).toMatchObject({
        verdict: 'INCONCLUSIVE',
        reason: 'INSUFFICIENT_EVIDENCE',
        insufficientGroups: ['Amer-Indian-Eskimo', 'Other'],
      });
    const rows = Object.fromEntries(
      (report.fairness[0]?.groups ?? []).map((group) => [group.group, group.rows]),
    );
    expect(rows).toMatchObject({ 'Amer-Indian-Eskimo': 149, Other: 122 });
    expect(Object.keys(rows)).toHaveLength(5);
  });

  it('E7: without the capital fields the paired difference FAILs; so does the shadow with labels, which is REVIEW without', () => {
    const report = evaluate('noCapital', 'sex', 'full');
    expectEstimate(report.metrics.accuracy, 0.8298);
    expectEstimate(criterion(report, 'accuracy-vs-champion'), -0.0173, [-0.021, -0.013]);
    expect(criterion(report, 'accuracy-vs-champion').verdict).toBe('FAIL');
    const { counts, labelled } = shadowCounts('noCapital', 15_060);
    expect([labelled.championOnly, labelled.candidateOnly]).toEqual([588, 327]);
    expect(counts.disagreements).toBe(915);
    const withLabels = judgeShadow({ ...counts, labelled }, bounds);
    expect(withLabels).toMatchObject({ state: 'FAILED', reason: 'LABELS' });
    expect(withLabels.checks.find(({ check }) => check === 'labels')?.p).toBeLessThan(1e-15);
    const without = judgeShadow(counts, bounds);
    expect(without).toMatchObject({ state: 'REVIEW', reason: 'DISAGREEMENT' });
    const disagreement = without.checks.find(({ check }) => check === 'disagreement');
    expect(disagreement?.interval?.low).toBeCloseTo(0.053, 3);
    expect(disagreement?.interval?.high).toBeCloseTo(0.069, 3);
  });

  it('E8: without sex, race and relationship quality and shadow PASS, and the fairness gate decides', () => {
    const report = evaluate('noProtected', 'sex', 'full');
    expectEstimate(report.metrics.accuracy, 0.8467);
    expectEstimate(criterion(report, 'accuracy-vs-champion'), -0.0004, [-0.002, 0.002]);
    expect(criterion(report, 'accuracy-vs-champion').verdict).toBe('PASS');
    const comparison = report.comparisons['champion'];
    expect([comparison?.mcnemar.referenceOnly, comparison?.mcnemar.candidateOnly]).toEqual([
      100, 94,
    ]);
    expect(comparison?.mcnemar.p).toBeCloseTo(0.72, 2);
    expectEstimate(criterion(report, 'ratio'), 0.256);
    expectEstimate(criterion(report, 'parity-ratio-vs-champion'), -0.043, [-0.058, -0.028]);
    expect(criterion(report, 'parity-ratio-vs-champion').verdict).toBe('FAIL');
    expectEstimate(criterion(report, 'odds'), 0.16);
    expect(criterion(report, 'odds').verdict).toBe('FAIL');
    const whole = shadowCounts('noProtected', 15_060).counts;
    expect(whole.disagreements / whole.pairs).toBeCloseTo(0.013, 3);
    const { counts } = shadowCounts('noProtected', 1_000);
    expect(judgeShadow(counts, bounds)).toMatchObject({ state: 'PASSED', reason: 'DISAGREEMENT' });
  });
});
