import type { Env } from '../ids.js';
import type { PrincipalKind } from './contract.js';
import type { Role } from './permissions.js';

/** What is known of a key by its id: the row of the key and of its principal, times in milliseconds since the epoch. */
export interface KeyRecord {
  tenant: string;
  keyId: string;
  principalId: string;
  name: string;
  kind: PrincipalKind;
  env: Env;
  secretHmac: Uint8Array;
  pepperVersion: number;
  scopes: string[];
  roles: Role[];
  groups: string[];
  expiresAtMs: number | undefined;
  revokedAtMs: number | undefined;
  disabledAtMs: number | undefined;
}
