export { awaitReconciled } from './await-reconciled.js';
export type { ReconcileDeps } from './reconcile-deps.js';
export { createReconcileLoop } from './reconcile-loop.js';
export { reconcileOnce } from './reconcile-once.js';
