import { setTimeout as delay } from 'node:timers/promises';

/** What the loop asks for. */
export interface LoadLoopDeps {
  /** 95th percentile of the event loop's lag since the last call, ms. */
  loopLagMs: () => number;
  /** 95th percentile of the wait for a Postgres connection since the last call, ms. */
  poolWaitMs: () => number;
  tick: (load: { loopLagMs: number; poolWaitMs: number }) => void;
  /** Length of a window. */
  everyMs: number;
}

/** Moves the adaptive limit once a window. */
export const createLoadLoop = (deps: LoadLoopDeps) => ({
  run: async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      await delay(deps.everyMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      deps.tick({ loopLagMs: deps.loopLagMs(), poolWaitMs: deps.poolWaitMs() });
    }
  },
  healthy: (): boolean => true,
});
