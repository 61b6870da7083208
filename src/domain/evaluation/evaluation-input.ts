import type { EvaluationPolicy } from './criteria.js';
import type { ArtifactCheck, ContractCheck, LeakCheck } from './evaluation-report.js';
import type { GroupMinimum } from './fairness.js';
import type { MetricOptions } from './metrics.js';
import type { ProtectedColumn } from './protected-column.js';

/** Another version's probabilities on the same rows. */
interface ReferenceScores {
  /** How the report names the version. */
  version: string;
  probabilities: Float64Array;
}

/** Everything an evaluation is judged on. Arrays have one entry a row. */
export interface EvaluationInput {
  /** Identifies the version in the report, e.g. version, artifact digest, trainer. */
  subject: Record<string, string>;
  evaluationSetDigest: string;
  probabilities: Float64Array;
  /** 1 positive, 0 negative. */
  labels: Uint8Array;
  protectedColumns: readonly ProtectedColumn[];
  /** Declared intersections, each the names of two or more protected attributes. */
  intersections?: readonly (readonly string[])[];
  champion?: ReferenceScores;
  previousChampion?: ReferenceScores;
  policy: EvaluationPolicy;
  /** Integer, 0 ≤ seed < 2^53. */
  seed: number;
  resamples?: number;
  options?: MetricOptions;
  groupMinimum?: GroupMinimum;
  /** null: the check could not be made, which its criterion reports as ERROR. */
  leak: LeakCheck | null;
  contract: ContractCheck | null;
  artifact: ArtifactCheck | null;
}
