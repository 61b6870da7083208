import { setTimeout as delay } from 'node:timers/promises';
import type { Restored } from '../../domain/reconcile/contract.js';

/** What a process asks for before it serves. */
interface AwaitReconciledDeps {
  openRestoration: () => Promise<Restored | undefined>;
  /** Reconciles the restore and closes it; undefined in processes that wait for another to do so. */
  reconcile: ((restored: Restored) => Promise<void>) | undefined;
  log: { warn: (facts: object, message: string) => void };
  /** Milliseconds between looks; 500. */
  everyMs?: number | undefined;
}

/**
 * Resolves when no restore is open: after one, nothing serves and no worker polls before Temporal has been reconciled
 * with what came back. A pass that fails is repeated.
 */
export async function awaitReconciled(
  deps: AwaitReconciledDeps,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const restored = await deps.openRestoration();
    if (restored === undefined) return;
    try {
      if (deps.reconcile !== undefined) await deps.reconcile(restored);
      else
        deps.log.warn({ ...restored }, 'waits until a worker has reconciled the restored database');
    } catch (error) {
      deps.log.warn({ reason: String(error) }, 'reconcile: the restore is tried again');
    }
    await delay(deps.everyMs ?? 500, undefined, { signal }).catch(() => undefined);
  }
}
