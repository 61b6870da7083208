import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';

/** Heartbeats of an activity: `note` sets what the next one says. */
export interface Beat {
  note: (details: Record<string, number | string>) => void;
  /** Aborts when the activity shall end: cancelled, timed out, or the worker stops. */
  signal: AbortSignal;
}

/**
 * Runs `work` under a heartbeat four times per heartbeat timeout, so that long reads and scoring are not taken for a
 * lost worker. A blocked event loop stops the heartbeat, and that is meant.
 */
export async function keepBeating<T>(work: (beat: Beat) => Promise<T>): Promise<T> {
  let last: Record<string, number | string> = {};
  const timeoutMs = activityInfo().heartbeatTimeoutMs ?? 60_000;
  const timer = setInterval(() => heartbeat(last), Math.max(100, timeoutMs / 4));
  try {
    return await work({
      note: (details) => {
        last = { ...last, ...details };
        heartbeat(last);
      },
      signal: cancellationSignal(),
    });
  } finally {
    clearInterval(timer);
  }
}
