import type { Route } from '../route.js';
import type { AccessRouteDeps } from './access-route-deps.js';
import { getApiKeys } from './get-api-keys.js';
import { getMe } from './get-me.js';
import { getPrincipals } from './get-principals.js';
import { postApiKeyRevoke } from './post-api-key-revoke.js';
import { postApiKeys } from './post-api-keys.js';
import { postPrincipals } from './post-principals.js';
import { putPrincipalGroups } from './put-principal-groups.js';
import { putPrincipalRoles } from './put-principal-roles.js';

export type { AccessRouteDeps } from './access-route-deps.js';
export { createAuthenticator } from './authenticate.js';

/** The endpoints of `access`. */
export const accessRoutes = (deps: AccessRouteDeps): Route[] => [
  postPrincipals(deps),
  getPrincipals(deps),
  putPrincipalRoles(deps),
  putPrincipalGroups(deps),
  postApiKeys(deps),
  getApiKeys(deps),
  postApiKeyRevoke(deps),
  getMe(),
];
