import type { EtlRouteDeps } from './etl-route-deps.js';
import { quarantineDecisionRoute } from './quarantine-decision-route.js';

/** `POST /v1/quarantine/{id}:release` */
export const postQuarantineRelease = (deps: EtlRouteDeps) =>
  quarantineDecisionRoute(deps, {
    verb: 'release',
    summary: 'Let a quarantined document through',
    description: 'Only where a gate about content stopped it; access reasons stay closed.',
    problems: ['NOT_RELEASABLE'],
  });
