import type { EtlRouteDeps } from './etl-route-deps.js';
import { quarantineDecisionRoute } from './quarantine-decision-route.js';

/** `POST /v1/quarantine/{id}:retry` */
export const postQuarantineRetry = (deps: EtlRouteDeps) =>
  quarantineDecisionRoute(deps, {
    verb: 'retry',
    summary: 'Try a quarantined document again',
    description: 'Its change is due again and goes through every gate.',
  });
