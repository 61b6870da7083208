/** How the limit moves. */
export interface AdaptiveLimitSettings {
  initial: number;
  min: number;
  max: number;
  /** How much longer than usual requests may take before the limit falls; 1.5 is half as long again. */
  tolerance: number;
  /** Share of the new estimate in the next limit, in (0, 1]. */
  smoothing: number;
  /** Windows that the long-term average of an operation remembers. */
  longWindows: number;
  /** What the limit is multiplied by after a window of congestion, in (0, 1). */
  backoff: number;
  /** 95th percentile of the event loop's lag above which a window is congested, ms. */
  loopLagMs: number;
  /** 95th percentile of the wait for a Postgres connection above which a window is congested, ms. */
  poolWaitMs: number;
}

/** reliability.md §7 and gateway.md §9 for the two signals; the rest as the source of the algorithm has it. */
export const defaultAdaptiveLimit: AdaptiveLimitSettings = {
  initial: 64,
  min: 16,
  max: 1_000,
  tolerance: 1.5,
  smoothing: 0.2,
  longWindows: 600,
  backoff: 0.8,
  loopLagMs: 100,
  poolWaitMs: 250,
};

/** Requests at work that one process allows, and what it knows of how long they usually take. */
export interface AdaptiveLimit {
  /** Not rounded; a request fits where fewer than its floor are at work. */
  limit: number;
  /** Long-term average of each operation, and of how many windows. */
  usual: Readonly<Record<string, { ms: number; windows: number }>>;
}

/** What a window of time has shown. */
export interface LoadSample {
  /** Requests that neither waited nor streamed and were answered in it, by operation. */
  latencies: Readonly<Record<string, { count: number; totalMs: number }>>;
  /** Most requests at work at once. */
  peakInFlight: number;
  loopLagMs: number;
  poolWaitMs: number;
}

export const initialLimit = ({ initial }: AdaptiveLimitSettings): AdaptiveLimit => ({
  limit: initial,
  usual: {},
});

/** Moves what is usual a little towards what the window shows; a plain mean while there are few windows. */
function learn(
  usual: AdaptiveLimit['usual'],
  latencies: LoadSample['latencies'],
  longWindows: number,
): Record<string, { ms: number; windows: number }> {
  const next = { ...usual };
  for (const [operation, { count, totalMs }] of Object.entries(latencies)) {
    if (count === 0) continue;
    const now = totalMs / count;
    const { ms, windows } = next[operation] ?? { ms: now, windows: 0 };
    const weight = Math.max(2 / (longWindows + 1), 1 / (windows + 1));
    // After a spell of slowness the average would take minutes to come back by itself.
    const moved = ms > 2 * now ? ms * 0.95 : ms + (now - ms) * weight;
    next[operation] = { ms: moved, windows: Math.min(windows + 1, longWindows) };
  }
  return next;
}

/** Usual time of the window's requests over the time that they took; 1 where nothing was measured. */
function usualOverTaken(usual: AdaptiveLimit['usual'], latencies: LoadSample['latencies']): number {
  let usualMs = 0;
  let takenMs = 0;
  for (const [operation, { count, totalMs }] of Object.entries(latencies)) {
    usualMs += (usual[operation]?.ms ?? 0) * count;
    takenMs += totalMs;
  }
  return takenMs > 0 ? usualMs / takenMs : 1;
}

/**
 * The limit after a window. Gradient: the estimate is the limit × min(1, tolerance × usual ÷ taken), at least halved, plus
 * room for a queue of √limit, smoothed; where less than half of the limit was in use nothing is learned about it, and it
 * only finds its way back to `initial`. Source: Netflix concurrency-limits, `Gradient2Limit` (2018), with the queue as a
 * square root (its `SquareRootFunction`); averages are kept by operation, because a change of what is asked is no change of
 * how fast it is answered. A congested window (event loop or database pool) multiplies the limit by `backoff` instead, as
 * additive increase and multiplicative decrease do (Chiu and Jain 1989), and teaches nothing about what is usual. Always
 * within [min, max].
 */
export function nextLimit(
  state: AdaptiveLimit,
  sample: LoadSample,
  settings: AdaptiveLimitSettings,
): AdaptiveLimit {
  const { min, max, initial, smoothing } = settings;
  const within = (limit: number): number => Math.min(max, Math.max(min, limit));
  const { limit } = state;
  if (sample.loopLagMs > settings.loopLagMs || sample.poolWaitMs > settings.poolWaitMs)
    return { limit: within(limit * settings.backoff), usual: state.usual };
  const usual = learn(state.usual, sample.latencies, settings.longWindows);
  const isUsed = sample.peakInFlight >= limit / 2;
  if (!isUsed && limit >= initial) return { limit: within(limit), usual };
  const ratio = settings.tolerance * usualOverTaken(usual, sample.latencies);
  const gradient = isUsed ? Math.max(0.5, Math.min(1, ratio)) : 1;
  const estimate = limit * gradient + Math.sqrt(limit);
  return { limit: within(limit * (1 - smoothing) + estimate * smoothing), usual };
}
