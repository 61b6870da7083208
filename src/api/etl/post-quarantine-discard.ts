import type { EtlRouteDeps } from './etl-route-deps.js';
import { quarantineDecisionRoute } from './quarantine-decision-route.js';

/** `POST /v1/quarantine/{id}:discard` */
export const postQuarantineDiscard = (deps: EtlRouteDeps) =>
  quarantineDecisionRoute(deps, {
    verb: 'discard',
    summary: 'Give up a quarantined change',
    description: 'The revision that is served stays as it is.',
  });
