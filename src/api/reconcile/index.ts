import type { Route } from '../route.js';
import { getDivergences } from './get-divergences.js';
import { postDivergenceResolve } from './post-divergence-resolve.js';
import type { ReconcileRouteDeps } from './reconcile-route-deps.js';

export type { ReconcileRouteDeps } from './reconcile-route-deps.js';

/** The endpoints of `reconcile`. */
export const reconcileRoutes = (deps: ReconcileRouteDeps): Route[] => [
  getDivergences(deps),
  postDivergenceResolve(deps),
];
