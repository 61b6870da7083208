import { createReconcileStore, createRestorationStore } from '../adapters/postgres/reconcile.js';
import { createRuns } from '../adapters/temporal/runs.js';
import { createRestarter } from '../adapters/temporal/starter.js';
import {
  awaitReconciled,
  createReconcileLoop,
  reconcileOnce,
  type ReconcileDeps,
} from '../activities/reconcile/index.js';
import { workflowTypes } from '../domain/reconcile/workflow-types.js';
import type { Parts } from './dependencies.js';
import type { NamedLoop } from './run-loops.js';

const reconcileDeps = ({ db, temporal, metrics, log }: Parts): ReconcileDeps => ({
  ...createReconcileStore(db),
  ...createRuns(temporal.client),
  restartWorkflow: createRestarter(temporal.client),
  tenants: db.tenants,
  ownTypes: workflowTypes,
  nowMs: Date.now,
  found: metrics.platform.countDivergence,
  publishOpen: metrics.platform.publishDivergences,
  log,
});

/** The pass of every minute, of workers with the role `orchestration`. */
export const reconcileLoop = (parts: Parts): NamedLoop => ({
  name: 'reconciler',
  loop: createReconcileLoop(reconcileDeps(parts)),
});

/**
 * Waits until no restored database is left to reconcile; nothing may serve before. Workers with the role `orchestration`
 * do it themselves.
 */
export async function untilReconciled(
  parts: Parts,
  { reconciles, signal }: { reconciles: boolean; signal: AbortSignal },
): Promise<void> {
  const { openRestoration, closeRestoration } = createRestorationStore(parts.db);
  await awaitReconciled(
    {
      openRestoration,
      reconcile: reconciles
        ? async (restored) => {
            const counts = await reconcileOnce(reconcileDeps(parts), restored);
            await closeRestoration(restored.restorationId);
            parts.log.warn(
              { ...restored, counts },
              'reconcile: the restored database is reconciled',
            );
          }
        : undefined,
      log: parts.log,
    },
    signal,
  );
}
