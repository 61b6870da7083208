import type { Route } from '../route.js';
import type { AuditRouteDeps } from './audit-route-deps.js';
import { getAudit } from './get-audit.js';
import { getAuditVerify } from './get-audit-verify.js';

export type { AuditRouteDeps } from './audit-route-deps.js';

/** The endpoints of `audit`. */
export const auditRoutes = (deps: AuditRouteDeps): Route[] => [
  getAudit(deps),
  getAuditVerify(deps),
];
