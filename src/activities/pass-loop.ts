import { setTimeout as delay } from 'node:timers/promises';

/** A background loop: it runs until the signal aborts and says whether it did its work lately. */
export interface Loop {
  run: (signal: AbortSignal) => Promise<void>;
  healthy: () => boolean;
}

/** Intervals without a pass to its end after which a loop counts as unhealthy. */
const MISSED = 4;

/** Work that is done again and again; each pass finds what the last one left. */
interface Passes {
  pass: (signal: AbortSignal) => Promise<void>;
  /** Milliseconds between two passes. */
  intervalMs: number;
  /** Milliseconds without a pass to its end after which the loop counts as unhealthy; 4 intervals. */
  patienceMs?: number | undefined;
  /** Told why a pass ended early; the next one comes all the same. */
  failed: (error: unknown) => void;
}

/** A loop over passes that survives each of them. */
export function createPassLoop({ pass, intervalMs, patienceMs, failed }: Passes): Loop {
  let doneAtMs = performance.now();
  return {
    healthy: () => performance.now() - doneAtMs < (patienceMs ?? intervalMs * MISSED),
    run: async (signal) => {
      while (!signal.aborted) {
        try {
          await pass(signal);
          doneAtMs = performance.now();
        } catch (error) {
          failed(error);
        }
        await delay(intervalMs, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}
