import type { StoredInference } from '../../domain/inference/run.js';

/** What the follower of settlements asks for. */
export interface SettlementLoopDeps {
  /** Follows a NOTIFY channel until the signal aborts; calls `onReconnect` after each gap. */
  listen: (
    channel: string,
    handlers: { onNotice: (payload: string) => void; onReconnect: () => void },
    signal: AbortSignal,
  ) => Promise<void>;
  read: (tenant: string, inferenceIds: string[]) => Promise<StoredInference[]>;
  /** How often those who wait are looked up although no notice came: a lost notice costs this much, in milliseconds. */
  sweepMs: number;
}

interface Waiter {
  tenant: string;
  resolve: (found: StoredInference | undefined) => void;
}

/** Settlements of the last moments, so that a notice which is faster than its waiter is not missed. */
const RECENT = 4_096;

const readNotice = (payload: string): { tenant: string; ids: string[] } | undefined => {
  try {
    return JSON.parse(payload) as { tenant: string; ids: string[] };
  } catch {
    return undefined;
  }
};

/** The last ids that were settled anywhere. */
function createRecent(limit: number) {
  const ids = new Set<string>();
  return {
    has: (id: string): boolean => ids.has(id),
    add: (id: string): void => {
      ids.add(id);
      const oldest = ids.values().next();
      if (ids.size > limit && oldest.done !== true) ids.delete(oldest.value);
    },
  };
}

/** Who waits, by tenant. */
function byTenant(waiters: Map<string, Set<Waiter>>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [id, waiting] of waiters) {
    for (const { tenant } of waiting) found.set(tenant, [...(found.get(tenant) ?? []), id]);
  }
  return found;
}

/**
 * One LISTEN for all who wait in this process: a notice names the settled ids of one tenant, and one read serves all
 * of them that someone here waits for.
 */
export function createSettlementLoop(deps: SettlementLoopDeps) {
  const waiters = new Map<string, Set<Waiter>>();
  const recent = createRecent(RECENT);
  let following = false;

  /** Reads what is asked for and answers those of them that are settled. */
  const serve = async (tenant: string, ids: string[]): Promise<void> => {
    if (ids.length === 0) return;
    // A failed read is made good by the next sweep.
    const rows = await deps.read(tenant, ids).catch(() => []);
    for (const row of rows.filter(({ settledMs }) => settledMs !== null)) {
      for (const waiter of waiters.get(row.inferenceId) ?? []) {
        if (waiter.tenant === tenant) waiter.resolve(row);
      }
    }
  };
  const sweep = async (): Promise<void> => {
    await Promise.all([...byTenant(waiters)].map(([tenant, ids]) => serve(tenant, ids)));
  };
  const onNotice = (payload: string): void => {
    const notice = readNotice(payload);
    if (notice === undefined) return;
    notice.ids.forEach(recent.add);
    void serve(
      notice.tenant,
      notice.ids.filter((id) => waiters.has(id)),
    );
  };

  /**
   * The settled inference, or undefined where the wait is over first.
   * @param known true where it may have been settled long ago: it is read at once
   */
  const waitFor = (
    of: { tenant: string; inferenceId: string; known: boolean },
    limit: { waitMs: number; signal: AbortSignal },
  ): Promise<StoredInference | undefined> =>
    new Promise((resolve) => {
      const { tenant, inferenceId } = of;
      const done = (found: StoredInference | undefined): void => {
        clearTimeout(timer);
        limit.signal.removeEventListener('abort', stop);
        waiting.delete(waiter);
        if (waiting.size === 0) waiters.delete(inferenceId);
        resolve(found);
      };
      const stop = (): void => done(undefined);
      const waiter: Waiter = { tenant, resolve: done };
      const waiting = waiters.get(inferenceId) ?? new Set();
      waiters.set(inferenceId, waiting.add(waiter));
      const timer = setTimeout(stop, limit.waitMs);
      limit.signal.addEventListener('abort', stop, { once: true });
      if (limit.signal.aborted) stop();
      else if (of.known || recent.has(inferenceId)) void serve(tenant, [inferenceId]);
    });

  return {
    waitFor,
    healthy: (): boolean => following,
    run: async (signal: AbortSignal): Promise<void> => {
      const timer = setInterval(() => void sweep(), deps.sweepMs);
      following = true;
      try {
        await deps.listen('settled', { onNotice, onReconnect: () => void sweep() }, signal);
      } finally {
        following = false;
        clearInterval(timer);
      }
    },
  };
}
