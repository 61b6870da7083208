import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';

/** A step that is at work. */
export interface Beat {
  /** How far the step is; the heartbeat carries this number alone. */
  note: (cursor: number) => void;
  /** Aborts when the step shall end: cancelled, timed out, or the worker stops. */
  signal: AbortSignal;
}

const RENEW_MS = 60_000;

/**
 * Runs `work` under a heartbeat four times per heartbeat timeout, and renews what it holds every minute. A renewal that
 * fails is repeated a minute later: the claim outlasts several of them, and its fence says where it was lost.
 */
export async function keepClaims<T>(
  renew: () => Promise<unknown>,
  work: (beat: Beat) => Promise<T>,
): Promise<T> {
  let cursor = 0;
  const timeoutMs = activityInfo().heartbeatTimeoutMs ?? 30_000;
  const beating = setInterval(() => heartbeat(cursor), Math.max(100, timeoutMs / 4));
  const renewing = setInterval(() => void renew().catch(() => undefined), RENEW_MS);
  try {
    return await work({
      note: (next) => {
        cursor = next;
        heartbeat(cursor);
      },
      signal: cancellationSignal(),
    });
  } finally {
    clearInterval(beating);
    clearInterval(renewing);
  }
}
