import { orderRoute } from './order-route.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/** `POST /v1/releases/{id}:proceed`: a person has looked at a shadow in REVIEW or INCONCLUSIVE and lets the release go on. */
export const postReleaseProceed = (deps: ReleaseRouteDeps) =>
  orderRoute(deps, {
    command: 'proceed',
    permission: 'release:operate',
    summary: 'Proceed after an undecided shadow',
    isDone: (state) => state !== 'PAUSED',
  });
