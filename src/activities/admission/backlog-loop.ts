import { setTimeout as delay } from 'node:timers/promises';
import { missesDeadline, waitOfStart, type Backlog } from '../../domain/admission/backlog-gate.js';

/** What the gate asks for. */
export interface BacklogLoopDeps {
  /** What waits in the queue that starts go to. @throws where Temporal does not answer */
  read: (signal: AbortSignal) => Promise<Backlog>;
  everyMs: number;
  /** A reading is believed for so long; then starts are let through. */
  freshMs: number;
  monotonicMs: () => number;
  log: { warn: (facts: object, message: string) => void };
  /** Told of each reading; undefined where there was none. */
  observe: (backlog: Backlog | undefined) => void;
}

/**
 * Follows a task queue and says of a start whether it would miss its deadline. It fails open: without a fresh reading
 * everything is let through, with a warning at the first failure of a row.
 */
export function createBacklogLoop(deps: BacklogLoopDeps) {
  let last: { backlog: Backlog; atMs: number } | undefined;
  let isFailing = false;
  const look = async (signal: AbortSignal): Promise<void> => {
    try {
      const backlog = await deps.read(signal);
      last = { backlog, atMs: deps.monotonicMs() };
      isFailing = false;
      deps.observe(backlog);
    } catch (error) {
      if (signal.aborted) return;
      if (!isFailing)
        deps.log.warn(
          { reason: String(error) },
          'the backlog of Temporal is not known; starts are let through',
        );
      isFailing = true;
      deps.observe(undefined);
    }
  };
  return {
    run: async (signal: AbortSignal): Promise<void> => {
      while (!signal.aborted) {
        await look(signal);
        await delay(deps.everyMs, undefined, { signal }).catch(() => undefined);
      }
    },
    healthy: (): boolean => true,
    /** By how many ms a start would miss its deadline, 0 included; undefined where it would not, or nothing is known. */
    lateBy: (of: { priority: number; deadlineMs: number }): number | undefined => {
      if (last === undefined || deps.monotonicMs() - last.atMs > deps.freshMs) return undefined;
      if (!missesDeadline(last.backlog, of)) return undefined;
      return waitOfStart(last.backlog, of.priority) - of.deadlineMs;
    },
  };
}
