import { orderRoute } from './order-route.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/** `POST /v1/releases/{id}:abort`: takes a release back to what was live before it. */
export const postReleaseAbort = (deps: ReleaseRouteDeps) =>
  orderRoute(deps, {
    command: 'abort',
    permission: 'release:abort',
    summary: 'Abort a release',
    isDone: () => false,
  });
