import { measureRows } from '../../domain/evaluation/metrics.js';
import type { MetricPoint } from '../../domain/training/trainer.js';
import { createPredictor } from '../../domain/training/trained-model.js';
import { activityInfo } from '@temporalio/activity';
import { workflowCaller } from '../run-of.js';
import { keepBeating } from './keep-beating.js';
import { holdoutRows } from './load-rows.js';
import type { RunFiles } from './run-files.js';
import type { TrainingDeps } from './training-deps.js';

/** Metrics of the held-out rows by name; undefined ones (such as the AUC of one class) are left out. */
export interface HoldoutMetrics {
  metrics: Record<string, number>;
}

/**
 * Scores the held-out rows with the trained model in float64 and records accuracy, AUC and log-loss, among others, as
 * metrics of the last step.
 */
export const createEvaluateHoldout =
  ({ deps, files }: { deps: TrainingDeps; files: RunFiles }) =>
  ({ tenant, runId }: { tenant: string; runId: string }): Promise<HoldoutMetrics> =>
    keepBeating(async (beat) => {
      const facts = await deps.runs.enterStage(workflowCaller(tenant), runId, 'EVALUATING_HOLDOUT');
      const { model, step } = await files.readTrained({ tenant, runId });
      const predict = createPredictor(model);
      const probabilities: number[] = [];
      const labels: number[] = [];
      for await (const { inputs, positive } of holdoutRows(facts, deps.readParts)) {
        beat.signal.throwIfAborted();
        probabilities.push(predict(inputs));
        labels.push(positive ? 1 : 0);
      }
      const measured = measureRows({
        probabilities: Float64Array.from(probabilities),
        labels: Uint8Array.from(labels),
      });
      const named = {
        holdout_accuracy: measured.accuracy,
        holdout_auc: measured.auc,
        holdout_log_loss: measured.log_loss,
        holdout_brier: measured.brier,
        holdout_ece: measured.ece,
      };
      const metrics = Object.fromEntries(
        Object.entries(named).filter(([, value]) => Number.isFinite(value)),
      );
      const points = Object.entries(metrics).map(([name, value]): MetricPoint => ({
        name,
        step,
        value,
      }));
      const line = points.map(({ name, value }) => `${name} ${value.toFixed(4)}`).join(', ');
      await deps.runs.recordProgress(tenant, runId, {
        attempt: activityInfo().attempt,
        metrics: points,
        lines: [`holdout of ${labels.length} rows: ${line}`],
      });
      await deps.runs.recordResult(tenant, runId, { metrics });
      return { metrics };
    });
