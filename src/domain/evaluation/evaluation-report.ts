import type { Verdict } from '../verdict.js';
import type { Criterion, Judgement } from './criteria.js';
import type { FairnessMetric, GroupMinimum, GroupRates } from './fairness.js';
import type { Interval } from './intervals.js';
import type { CostMatrix, RowMetric } from './metrics.js';

/** A value with its 95 % interval; null where it is undefined. Rounded to 12 significant digits. */
export interface Estimate {
  value: number | null;
  interval: Interval | null;
}

/** Result of one criterion: the criterion as it was judged, and what came out. */
export interface CriterionResult extends Judgement {
  id: string;
  metric: Criterion['metric'];
  severity: Criterion['severity'];
  onInconclusive: Criterion['onInconclusive'];
  waivable: boolean;
  vs: Criterion['vs'];
  op: Criterion['op'];
  /** Bound of the value (absolute) or margin of the difference (comparison). */
  bound: number;
  ci: number;
  slice?: Record<string, string>;
  /** Fairness only: the attribute that gave the verdict, and the verdict of every attribute. */
  attribute?: string;
  insufficientGroups?: string[];
  attributes?: (Judgement & { attribute: string; insufficientGroups: string[] })[];
}

/** Paired comparison with another version on the same rows, candidate minus reference. */
export interface Comparison {
  version: string;
  reference: Record<RowMetric, number | null>;
  differences: Record<RowMetric, Estimate>;
  /** Exact McNemar test on the rows that only one of the two got right. */
  mcnemar: { candidateOnly: number; referenceOnly: number; p: number | null };
  disagreements: number;
}

/** Fairness of one attribute or intersection. */
export interface FairnessTable {
  attribute: string;
  groups: GroupRates[];
  measures: Record<FairnessMetric, Estimate & { insufficientGroups: string[] }>;
  /** Change against each reference, candidate minus reference, by `champion` and `previousChampion`. */
  changes: Record<string, Record<FairnessMetric, Estimate>>;
}

/** Outcome of the search for evaluation rows that equal a training row. */
export interface LeakCheck {
  equalRows: number;
  /** Digests of such rows, as many as the caller lists. */
  listed: string[];
}

/** Whether the contract can replace the active version's. */
export interface ContractCheck {
  compatible: boolean;
  /** What breaks, one sentence each. */
  breaks: string[];
  /** The version compared with; null if there is none, which is compatible. */
  comparedWith: string | null;
}

/** Whether the artifact holds only what we allow. */
export interface ArtifactCheck {
  accepted: boolean;
  /** What was refused, one sentence each. */
  findings: string[];
}

/**
 * The body of an evaluation report: plain JSON without times and ids of the run, so that evaluating the same version on
 * the same rows under the same policy and seed gives the same digest.
 */
export interface EvaluationReport {
  format: 'anneal.evaluation.v1';
  /** Identifies what was evaluated, as given by the caller: version, artifact digest, trainer. */
  subject: Record<string, string>;
  evaluationSet: { digest: string; rows: number; positives: number; negatives: number };
  policy: { name: string; revision: number };
  seed: number;
  resamples: number;
  decisionThreshold: number;
  costs: CostMatrix | null;
  groupMinimum: GroupMinimum;
  metrics: Record<RowMetric, Estimate>;
  comparisons: Record<string, Comparison>;
  fairness: FairnessTable[];
  leak: (LeakCheck & { share: number | null }) | null;
  contract: ContractCheck | null;
  artifact: ArtifactCheck | null;
  criteria: CriterionResult[];
  overall: Verdict;
}
