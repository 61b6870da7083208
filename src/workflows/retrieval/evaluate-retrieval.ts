import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  proxyActivities,
} from '@temporalio/workflow';
import type { createRetrievalActivities } from '../../activities/retrieval/index.js';
import type {
  EvaluateRetrievalInput,
  EvaluateRetrievalOutput,
} from '../../domain/retrieval/evaluation-contract.js';
import { authorise } from '../events/authorise.js';
import { bookkeeping, fiveTries } from '../events/bookkeeping.js';
import { trackStatus } from '../events/track-status.js';

type Activities = ReturnType<typeof createRetrievalActivities>;

const { failRetrieval } = proxyActivities<Activities>(bookkeeping);

/** What a failed measurement says: the code of the activity's failure, if it had one. */
function reasonOf(error: unknown): { code: string; message: string } {
  if (isCancellation(error)) return { code: 'CANCELLED', message: 'cancelled' };
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure
    ? { code: cause.type ?? 'INTERNAL', message: cause.message }
    : { code: 'INTERNAL', message: 'the generation could not be measured' };
}

/**
 * Measures one generation on one evaluation set, against another generation or its own lexical leg.
 *
 * PENDING → RUNNING → DONE (PASS | FAIL | INCONCLUSIVE) | FAILED (ERROR)
 */
export async function evaluateRetrieval(
  input: EvaluateRetrievalInput,
): Promise<EvaluateRetrievalOutput> {
  const move = trackStatus({ state: 'RUNNING', waitingOn: 'nothing' });
  await authorise({ ...input });
  const { tenant, evaluationId } = input;
  const { measureRetrieval } = proxyActivities<Activities>({
    taskQueue: 'etl',
    priority: { priorityKey: 5 },
    startToCloseTimeout: input.timeoutMs,
    heartbeatTimeout: input.heartbeatMs,
    retry: fiveTries,
    summary: `measure ${evaluationId}`,
  });
  try {
    const { verdict } = await measureRetrieval({ tenant, evaluationId });
    move({ state: 'DONE', waitingOn: 'nothing', verdict });
    return { state: 'DONE', verdict };
  } catch (error) {
    await CancellationScope.nonCancellable(() =>
      failRetrieval({ tenant, evaluationId, failure: reasonOf(error) }),
    );
    move({ state: 'FAILED', waitingOn: 'nothing', verdict: 'ERROR' });
    if (isCancellation(error)) throw error;
    return { state: 'FAILED', verdict: 'ERROR' };
  }
}
