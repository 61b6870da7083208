import { orderRoute } from './order-route.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/** `POST /v1/releases/{id}:pause`: holds a release where it is; after `pauseTimeoutMs` it goes back. */
export const postReleasePause = (deps: ReleaseRouteDeps) =>
  orderRoute(deps, {
    command: 'pause',
    permission: 'release:operate',
    summary: 'Pause a release',
    isDone: (state) => state === 'PAUSED',
  });
