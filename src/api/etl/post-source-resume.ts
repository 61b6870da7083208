import type { EtlRouteDeps } from './etl-route-deps.js';
import { sourceMoveRoute } from './source-move-route.js';

/** `POST /v1/sources/{id}:resume` */
export const postSourceResume = (deps: EtlRouteDeps) =>
  sourceMoveRoute(deps, { verb: 'resume', to: 'ACTIVE', summary: 'Resume a source' });
