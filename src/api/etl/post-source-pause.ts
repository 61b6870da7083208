import type { EtlRouteDeps } from './etl-route-deps.js';
import { sourceMoveRoute } from './source-move-route.js';

/** `POST /v1/sources/{id}:pause` */
export const postSourcePause = (deps: EtlRouteDeps) =>
  sourceMoveRoute(deps, { verb: 'pause', to: 'PAUSED', summary: 'Pause a source' });
