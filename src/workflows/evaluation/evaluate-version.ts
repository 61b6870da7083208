import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  proxyActivities,
} from '@temporalio/workflow';
import type { createEvaluationActivities } from '../../activities/evaluation/index.js';
import type {
  EvaluateVersionInput,
  EvaluateVersionOutput,
} from '../../domain/evaluation/contract.js';
import { bookkeeping, fiveTries } from '../events/bookkeeping.js';
import { authorise } from '../events/authorise.js';
import { trackStatus } from '../events/track-status.js';

type Activities = ReturnType<typeof createEvaluationActivities>;

const { settleEvaluation } = proxyActivities<Activities>(bookkeeping);

/** What a failed measurement says: the code of the activity's failure, if it had one. */
function reasonOf(error: unknown): { code: string; message: string } {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    return { code: cause.type ?? 'INTERNAL', message: cause.message };
  }
  return { code: 'INTERNAL', message: 'the version could not be measured' };
}

/**
 * Measures one version on one snapshot under one policy revision, and stores the report.
 *
 * QUEUED → RUNNING → COMPLETED (PASS | FAIL | INCONCLUSIVE | ERROR) | FAILED | CANCELLED
 */
export async function evaluateVersion(input: EvaluateVersionInput): Promise<EvaluateVersionOutput> {
  const move = trackStatus({ state: 'RUNNING', waitingOn: 'nothing' });
  await authorise({ ...input });
  const { tenant, evaluationId } = input;
  const { measureVersion } = proxyActivities<Activities>({
    taskQueue: 'inference',
    priority: { priorityKey: 5 },
    startToCloseTimeout: input.timeoutMs,
    heartbeatTimeout: input.heartbeatMs,
    retry: fiveTries,
    summary: `score ${input.model} v${input.version}`,
  });
  try {
    const { verdict, reportDigest } = await measureVersion({ tenant, evaluationId });
    move(
      { state: 'COMPLETED', waitingOn: 'nothing', verdict },
      `| model | version | verdict |\n|---|---|---|\n| ${input.model} | v${input.version} | ${verdict} |`,
    );
    return { state: 'COMPLETED', verdict, reportDigest };
  } catch (error) {
    const cancelled = isCancellation(error);
    const state = cancelled ? 'CANCELLED' : 'FAILED';
    const reason = cancelled ? { code: 'CANCELLED', message: 'cancelled' } : reasonOf(error);
    await CancellationScope.nonCancellable(() =>
      settleEvaluation({ tenant, evaluationId, end: { state, ...reason } }),
    );
    move({ state, waitingOn: 'nothing', verdict: 'ERROR' });
    if (cancelled) throw error;
    return { state, verdict: 'ERROR', reportDigest: null };
  }
}
