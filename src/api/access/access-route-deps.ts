import type { ApiKeyView, CreatePrincipal, PrincipalView } from '../../domain/access/contract.js';
import type { Role } from '../../domain/access/permissions.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import type { Env } from '../../domain/ids.js';
import type { Page } from '../paging.js';

/** What the endpoints of `access` ask for. */
export interface AccessRouteDeps {
  createPrincipal: (caller: Caller, input: CreatePrincipal) => Promise<Outcome<PrincipalView>>;
  /** Newest first by id; one more than the page's limit where there is more. */
  listPrincipals: (tenant: string, page: Page) => Promise<PrincipalView[]>;
  setRoles: (
    caller: Caller,
    input: { principalId: string; roles: readonly Role[] },
  ) => Promise<Outcome<PrincipalView>>;
  setGroups: (
    caller: Caller,
    input: { principalId: string; groups: readonly string[] },
  ) => Promise<Outcome<PrincipalView>>;
  /** Issues a key; the key itself only where this call made it. */
  createKey: (
    caller: Caller,
    request: {
      principalId: string;
      env: Env;
      scopes?: readonly string[] | undefined;
      expiresAt?: string | undefined;
    },
  ) => Promise<{ outcome: Outcome<ApiKeyView>; key: string | undefined }>;
  listKeys: (
    tenant: string,
    filter: { principalId?: string | undefined },
    page: Page,
  ) => Promise<ApiKeyView[]>;
  revokeKey: (caller: Caller, keyId: string) => Promise<Outcome<ApiKeyView>>;
  nowMs: () => number;
}
