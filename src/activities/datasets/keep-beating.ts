import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
import type { StageProgress } from '../../domain/datasets/staging.js';

/** Heartbeats of a stage. */
export interface Beat {
  note: (progress: StageProgress) => void;
  /** Aborts when the activity shall end: cancelled, timed out, or the worker stops. */
  signal: AbortSignal;
}

/** Runs `work` under a heartbeat four times per heartbeat timeout: a write of a large run has no progress to tell. */
export async function keepBeating<T>(work: (beat: Beat) => Promise<T>): Promise<T> {
  let last: StageProgress | undefined;
  const timeoutMs = activityInfo().heartbeatTimeoutMs ?? 30_000;
  const timer = setInterval(() => heartbeat(last), Math.max(100, timeoutMs / 4));
  try {
    return await work({
      note: (progress) => {
        last = progress;
        heartbeat(progress);
      },
      signal: cancellationSignal(),
    });
  } finally {
    clearInterval(timer);
  }
}
