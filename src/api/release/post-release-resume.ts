import { orderRoute } from './order-route.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/** `POST /v1/releases/{id}:resume`: lets a release that a person or a kill switch paused go on where it was. */
export const postReleaseResume = (deps: ReleaseRouteDeps) =>
  orderRoute(deps, {
    command: 'resume',
    permission: 'release:operate',
    summary: 'Resume a paused release',
    isDone: (state) => state !== 'PAUSED',
  });
