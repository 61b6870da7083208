import type { Caller } from '../../domain/events/change.js';
import { workflowCaller } from '../run-of.js';

/** How an evaluation ended without a report. */
export interface EvaluationEnd {
  state: 'FAILED' | 'CANCELLED';
  code: string;
  message: string;
}

export interface SettleEvaluationDeps {
  /** Ends a run without a report; one that has a report keeps it. Idempotent. */
  endEvaluation: (caller: Caller, evaluationId: string, end: EvaluationEnd) => Promise<void>;
}

/** Ends an evaluation that could not be measured: verdict ERROR, never a PASS. */
export const createSettleEvaluation =
  (deps: SettleEvaluationDeps) =>
  async (input: { tenant: string; evaluationId: string; end: EvaluationEnd }): Promise<void> =>
    deps.endEvaluation(workflowCaller(input.tenant), input.evaluationId, input.end);
