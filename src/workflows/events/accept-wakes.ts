import { ApplicationFailure, setHandler } from '@temporalio/workflow';
import { wakeUpdate } from './messages.js';

/** What a run knows of wakes. */
export interface Wakes {
  /** Somebody said that there is something to look at; the run sets it back when it looks. */
  woken: boolean;
  /** The run has made its last look. */
  closing: boolean;
}

/** Synchronous: an async validator would refuse nothing. */
function refuseWake(fact: unknown, closing: boolean): void {
  const factId = (fact as { factId?: unknown } | null)?.factId;
  if (typeof factId !== 'string' || factId.length === 0 || factId.length > 100) {
    throw ApplicationFailure.nonRetryable('wake needs { factId }', 'INVALID_REQUEST');
  }
  if (closing) throw ApplicationFailure.nonRetryable('the run is closing', 'ILLEGAL_TRANSITION');
}

/**
 * Lets a run be woken. An update and not a signal: whoever wakes it must learn that it is closing, and then starts it
 * anew or lets it be. One that names no fact is refused as well.
 */
export function acceptWakes(run: Wakes): void {
  setHandler(
    wakeUpdate,
    () => {
      run.woken = true;
    },
    {
      validator: (fact) => {
        refuseWake(fact, run.closing);
      },
    },
  );
}
