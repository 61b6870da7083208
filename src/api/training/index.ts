import type { Route } from '../route.js';
import { getModelTrainingRuns } from './get-model-training-runs.js';
import { getTrainingRun } from './get-training-run.js';
import { getTrainingRunLogs } from './get-training-run-logs.js';
import { getTrainingRunMetrics } from './get-training-run-metrics.js';
import { postTrainingRunCancel } from './post-training-run-cancel.js';
import { postTrainingRuns } from './post-training-runs.js';
import type { TrainingRouteDeps } from './training-route-deps.js';

export type { TrainingRouteDeps } from './training-route-deps.js';

/** The endpoints of `training`. */
export const trainingRoutes = (deps: TrainingRouteDeps): Route[] => [
  postTrainingRuns(deps),
  getModelTrainingRuns(deps),
  getTrainingRun(deps),
  getTrainingRunMetrics(deps),
  getTrainingRunLogs(deps),
  postTrainingRunCancel(deps),
];
