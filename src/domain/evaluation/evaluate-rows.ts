import { PlatformError } from '../errors.js';
import { DEFAULT_RESAMPLES } from './bootstrap.js';
import { judgeOverall } from './criteria.js';
import { describeComparison, describeFairness, describeMetrics } from './describe-measured.js';
import type { EvaluationInput } from './evaluation-input.js';
import type { EvaluationReport } from './evaluation-report.js';
import { DEFAULT_GROUP_MINIMUM } from './fairness.js';
import { judgeOnRows } from './judge-on-rows.js';
import type { Evaluation } from './judge-on-rows.js';
import { areProbabilities, measureAll } from './measured-rows.js';
import type { Measuring, RowsToMeasure } from './measured-rows.js';
import { DEFAULT_DECISION_THRESHOLD } from './metrics.js';
import { roundSignificant } from './round-significant.js';

const references = ['champion', 'previousChampion'] as const;

function begin(input: EvaluationInput): Evaluation {
  if (input.labels.length === 0)
    throw new PlatformError('EVALUATION_EMPTY', 'The evaluation set has no rows.');
  const lengths = [
    input.probabilities,
    ...references.flatMap((name) => input[name]?.probabilities ?? []),
    ...input.protectedColumns.map(({ codes }) => codes),
  ];
  if (lengths.some(({ length }) => length !== input.labels.length))
    throw new RangeError('every array of an evaluation has one entry a row');
  const known = new Set(input.protectedColumns.map(({ attribute }) => attribute));
  const intersections = input.intersections ?? [];
  if (intersections.some((names) => names.length < 2 || names.some((name) => !known.has(name))))
    throw new RangeError('an intersection names two or more of the protected attributes');
  const rows: RowsToMeasure = {
    probabilities: input.probabilities,
    labels: input.labels,
    references: Object.fromEntries(
      references.flatMap((name) => {
        const scores = input[name]?.probabilities;
        return scores !== undefined && areProbabilities(scores) ? [[name, scores]] : [];
      }),
    ),
    columns: input.protectedColumns,
    intersections,
  };
  const measuring: Measuring = {
    seed: input.seed,
    resamples: input.resamples ?? DEFAULT_RESAMPLES,
    groupMinimum: input.groupMinimum ?? DEFAULT_GROUP_MINIMUM,
    options: input.options ?? {},
  };
  const valid = areProbabilities(input.probabilities);
  const whole = valid ? measureAll(rows, measuring, 'all') : undefined;
  return { input, rows, measuring, whole, slices: new Map() };
}

/**
 * Evaluates one version: measures all metrics and fairness with percentile-bootstrap intervals, compares with the
 * champions on the same rows, judges every criterion of the policy, and returns the body of the report. Deterministic:
 * equal input gives an equal report, number for number. Scores that are no probabilities give ERROR verdicts.
 * @throws PlatformError EVALUATION_EMPTY if there is no row; RangeError if arrays differ in length or an
 * intersection names an attribute that is not there
 */
export function evaluateRows(input: EvaluationInput): EvaluationReport {
  const evaluation = begin(input);
  const { whole, measuring } = evaluation;
  const criteria = input.policy.criteria.map((criterion) => judgeOnRows(evaluation, criterion));
  const positives = input.labels.reduce((sum, label) => sum + label, 0);
  const rows = input.labels.length;
  const comparisons = references.flatMap((name) => {
    const version = input[name]?.version;
    if (whole === undefined || version === undefined || !(name in whole.references)) return [];
    return [[name, describeComparison(whole, name, version)] as const];
  });
  return {
    format: 'anneal.evaluation.v1',
    subject: input.subject,
    evaluationSet: {
      digest: input.evaluationSetDigest,
      rows,
      positives,
      negatives: rows - positives,
    },
    policy: { name: input.policy.name, revision: input.policy.revision },
    seed: input.seed,
    resamples: measuring.resamples,
    decisionThreshold: measuring.options.decisionThreshold ?? DEFAULT_DECISION_THRESHOLD,
    costs: measuring.options.costs ?? null,
    groupMinimum: measuring.groupMinimum,
    metrics: describeMetrics(whole),
    comparisons: Object.fromEntries(comparisons),
    fairness: (whole?.fairness ?? []).map(describeFairness),
    leak:
      input.leak === null
        ? null
        : { ...input.leak, share: roundSignificant(input.leak.equalRows / rows) },
    contract: input.contract,
    artifact: input.artifact,
    criteria,
    overall: judgeOverall(criteria),
  };
}
