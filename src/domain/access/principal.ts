import type { Env } from '../ids.js';
import type { Permission, Role } from './permissions.js';

/** An authenticated caller: what every route decides on. */
export interface Principal {
  tenant: string;
  /** The principal's id: the same person through any key. */
  subject: string;
  name: string;
  kind: 'person' | 'service';
  roles: Role[];
  /** What access lists of documents name. */
  groups: string[];
  /** What the roles give, narrowed by the key's scopes. */
  permissions: ReadonlySet<Permission>;
  /** The one environment that the key carries. */
  env: Env;
  /** `api-key:<key id>`. */
  via: string;
}

/** Groups that access lists may name for a principal: its own, and its roles. */
export const groupsOf = ({ groups, roles }: Pick<Principal, 'groups' | 'roles'>): string[] => [
  ...new Set([...groups, ...roles]),
];
