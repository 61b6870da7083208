import { ApplicationFailure } from '@temporalio/workflow';

/**
 * The validator of every `wake`: refuses one that names no fact, and one for a run that has made its last look.
 * Synchronous: an async validator would refuse nothing.
 */
export function refuseWake(fact: unknown, closing: boolean): void {
  const factId = (fact as { factId?: unknown } | null)?.factId;
  if (typeof factId !== 'string' || factId.length === 0 || factId.length > 100) {
    throw ApplicationFailure.nonRetryable('wake needs { factId }', 'INVALID_REQUEST');
  }
  if (closing) throw ApplicationFailure.nonRetryable('the run is closing', 'ILLEGAL_TRANSITION');
}
