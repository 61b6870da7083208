import { createPassLoop, type Loop } from '../pass-loop.js';
import type { ReconcileDeps } from './reconcile-deps.js';
import { reconcileOnce } from './reconcile-once.js';

/** Compares Temporal with Postgres every minute. */
export const createReconcileLoop = (deps: ReconcileDeps & { intervalMs?: number }): Loop =>
  createPassLoop({
    intervalMs: deps.intervalMs ?? 60_000,
    pass: async () => {
      await reconcileOnce(deps, undefined);
    },
    failed: (error) =>
      deps.log.warn({ reason: String(error) }, 'reconcile: left for the next pass'),
  });
