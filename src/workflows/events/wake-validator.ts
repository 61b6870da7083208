import { ApplicationFailure } from '@temporalio/workflow';

/** Refuses a wake that names no fact. Validators are synchronous: an async one would refuse nothing. */
export function refuseMisshapen(fact: unknown): void {
  const factId = (fact as { factId?: unknown } | null)?.factId;
  if (typeof factId !== 'string' || factId.length === 0 || factId.length > 100) {
    throw ApplicationFailure.nonRetryable('wake needs { factId }', 'INVALID_REQUEST');
  }
}

/** Refuses a wake for a run that has made its last look. */
export function refuseClosing(closing: boolean): void {
  if (closing) throw ApplicationFailure.nonRetryable('the run is closing', 'ILLEGAL_TRANSITION');
}
