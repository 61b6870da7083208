import { createMeasureVersion, type MeasureVersionDeps } from './measure-version.js';
import { createSettleEvaluation, type SettleEvaluationDeps } from './settle-evaluation.js';

/** What the activities of `evaluation` ask for. */
export type EvaluationDeps = MeasureVersionDeps & SettleEvaluationDeps;

/** Activities of `evaluation`: measure a version on rows, and end what could not be measured. */
export const createEvaluationActivities = (deps: EvaluationDeps) => ({
  measureVersion: createMeasureVersion(deps),
  settleEvaluation: createSettleEvaluation(deps),
});
