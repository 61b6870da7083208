import { percentileInterval } from './bootstrap.js';
import {
  isFairnessMetric,
  isRowMetric,
  judgeCriterion,
  marginOf,
  worstJudgement,
} from './criteria.js';
import type { Criterion, Measured } from './criteria.js';
import type { EvaluationInput } from './evaluation-input.js';
import type { CriterionResult } from './evaluation-report.js';
import type { FairnessMetric } from './fairness.js';
import { measureAll, sliceRows } from './measured-rows.js';
import type { MeasuredFairness, MeasuredRows, Measuring, RowsToMeasure } from './measured-rows.js';
import type { RowMetric } from './metrics.js';

/** The rows measured so far, by slice, and why a reference cannot be used. */
export interface Evaluation {
  input: EvaluationInput;
  rows: RowsToMeasure;
  measuring: Measuring;
  /** undefined: the candidate's scores are no probabilities. */
  whole: MeasuredRows | undefined;
  slices: Map<string, MeasuredRows | null | undefined>;
}

/** Measurement of the criterion's slice: null if no row is in it, undefined if the slice names an unknown group. */
function measureSlice(
  evaluation: Evaluation,
  criterion: Criterion,
): MeasuredRows | null | undefined {
  if (criterion.slice === undefined) return evaluation.whole;
  const names = Object.entries(criterion.slice).sort(([a], [b]) => (a < b ? -1 : 1));
  const key = JSON.stringify(names);
  if (!evaluation.slices.has(key)) {
    const rows = sliceRows(evaluation.rows, criterion.slice);
    const some = rows === undefined || rows.labels.length > 0;
    const measured = rows && some ? measureAll(rows, evaluation.measuring, key) : undefined;
    evaluation.slices.set(key, some ? measured : null);
  }
  return evaluation.slices.get(key);
}

/** A comparison that cannot be made, or undefined if it can. */
function missingReference(
  evaluation: Evaluation,
  criterion: Criterion,
  absolute: () => Measured,
): Measured | undefined {
  if (criterion.vs === 'absolute') return undefined;
  if (evaluation.input[criterion.vs] === undefined)
    return { kind: 'absent', reference: criterion.vs, absolute: absolute() };
  if (!(criterion.vs in evaluation.rows.references))
    return { kind: 'unmeasured', verdict: 'ERROR', reason: 'REFERENCE_SCORES_INVALID' };
  return undefined;
}

function measureMetric(
  measured: MeasuredRows,
  metric: RowMetric,
  criterion: Pick<Criterion, 'vs' | 'ci'>,
): Measured {
  const { vs, ci } = criterion;
  const { n, positives, negatives } = measured;
  const reference = vs === 'absolute' ? undefined : measured.references[vs];
  const samples = vs === 'absolute' ? measured.samples.values : measured.samples.differences[vs];
  return {
    kind: 'sampled',
    value: measured.metrics[metric] - (reference === undefined ? 0 : reference[metric]),
    interval: samples === undefined ? null : percentileInterval(samples[metric], ci),
    n,
    positives,
    negatives,
  };
}

function measureAttribute(
  measured: MeasuredRows,
  fairness: MeasuredFairness,
  criterion: Pick<Criterion, 'vs' | 'ci'> & { metric: FairnessMetric },
): Measured & { kind: 'sampled' } {
  const { vs, ci, metric } = criterion;
  const measure = vs === 'absolute' ? fairness.measures[metric] : fairness.changes[vs]?.[metric];
  const { n, positives, negatives } = measured;
  return {
    kind: 'sampled',
    value: measure?.value ?? NaN,
    interval: measure === undefined ? null : percentileInterval(measure.samples, ci),
    n,
    positives,
    negatives,
    insufficient: measure?.insufficientGroups ?? [],
  };
}

type FactMetric = Exclude<Criterion['metric'], RowMetric | FairnessMetric>;

function measureFact({ input }: Evaluation, metric: FactMetric): Measured {
  const unmeasured = (reason: string): Measured => ({
    kind: 'unmeasured',
    verdict: 'ERROR',
    reason,
  });
  const fact = (value: number, n: number | null, failure: string): Measured => ({
    kind: 'fact',
    value,
    n,
    failure,
  });
  switch (metric) {
    case 'leak_share': {
      if (input.leak === null) return unmeasured('LEAK_NOT_CHECKED');
      const rows = input.labels.length;
      return fact(input.leak.equalRows / rows, rows, 'EVALUATION_LEAK');
    }
    case 'contract_compat':
      if (input.contract === null) return unmeasured('CONTRACT_NOT_CHECKED');
      return fact(input.contract.compatible ? 1 : 0, null, 'CONTRACT_INCOMPATIBLE');
    case 'artifact_scan':
      if (input.artifact === null) return unmeasured('ARTIFACT_NOT_SCANNED');
      return fact(input.artifact.accepted ? 1 : 0, null, 'ARTIFACT_REFUSED');
  }
}

/** Judges a fairness criterion for every attribute; the worst verdict counts and names its attribute. */
function judgeFairness(
  evaluation: Evaluation,
  measured: MeasuredRows,
  criterion: Criterion & { metric: FairnessMetric },
): Pick<CriterionResult, 'attribute' | 'insufficientGroups' | 'attributes'> &
  ReturnType<typeof judgeCriterion> {
  const attributes = measured.fairness.map((fairness) => {
    const of = (vs: Criterion['vs']) =>
      measureAttribute(measured, fairness, { vs, ci: criterion.ci, metric: criterion.metric });
    const sample = of(criterion.vs);
    const judged = missingReference(evaluation, criterion, () => of('absolute')) ?? sample;
    return {
      attribute: fairness.attribute,
      insufficientGroups: sample.insufficient ?? [],
      ...judgeCriterion(judged, criterion),
    };
  });
  const worst = worstJudgement(attributes);
  if (worst === undefined) {
    const reason = 'NO_PROTECTED_ATTRIBUTE';
    return judgeCriterion({ kind: 'unmeasured', verdict: 'INCONCLUSIVE', reason }, criterion);
  }
  const { insufficientGroups, ...judgement } = worst;
  return insufficientGroups.length === 0
    ? { ...judgement, attributes }
    : { ...judgement, insufficientGroups, attributes };
}

/** Judges one criterion on what was measured. */
export function judgeOnRows(evaluation: Evaluation, criterion: Criterion): CriterionResult {
  const { id, metric, severity, onInconclusive, waivable, vs, op, ci, slice } = criterion;
  const bound = vs === 'absolute' ? (criterion.threshold ?? 0) : marginOf(criterion);
  const described = { id, metric, severity, onInconclusive, waivable, vs, op, bound, ci };
  const head = slice === undefined ? described : { ...described, slice };
  const unmeasured = (verdict: 'ERROR' | 'INCONCLUSIVE', reason: string): CriterionResult => ({
    ...head,
    ...judgeCriterion({ kind: 'unmeasured', verdict, reason }, criterion),
  });
  if (!isRowMetric(metric) && !isFairnessMetric(metric))
    return { ...head, ...judgeCriterion(measureFact(evaluation, metric), criterion) };
  if (evaluation.whole === undefined) return unmeasured('ERROR', 'SCORES_INVALID');
  const measured = measureSlice(evaluation, criterion);
  if (measured === undefined) return unmeasured('ERROR', 'SLICE_UNKNOWN');
  if (measured === null) return unmeasured('INCONCLUSIVE', 'INSUFFICIENT_ROWS');
  if (isFairnessMetric(metric))
    return { ...head, ...judgeFairness(evaluation, measured, { ...criterion, metric }) };
  const of = (against: Criterion['vs']) => measureMetric(measured, metric, { vs: against, ci });
  const missing = missingReference(evaluation, criterion, () => of('absolute'));
  return { ...head, ...judgeCriterion(missing ?? of(vs), criterion) };
}
