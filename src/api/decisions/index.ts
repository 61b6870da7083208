import type { Route } from '../route.js';
import type { DecisionsRouteDeps } from './decisions-route-deps.js';
import { getDecision } from './get-decision.js';
import { getDecisionProvenance } from './get-decision-provenance.js';
import { getDecisions } from './get-decisions.js';

export type { DecisionsRouteDeps } from './decisions-route-deps.js';

/** The endpoints of `decisions`. */
export const decisionsRoutes = (deps: DecisionsRouteDeps): Route[] => [
  getDecisions(deps),
  getDecision(deps),
  getDecisionProvenance(deps),
];
