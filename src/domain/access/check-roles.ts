import type { FieldError } from '../errors.js';
import type { PrincipalKind } from './contract.js';
import type { Role } from './permissions.js';

/** Roles of people alone: a machine neither approves nor grants (reliability.md §3). */
const peopleOnly: readonly Role[] = [
  'approver',
  'privacy-officer',
  'tenant-admin',
  'platform-operator',
];

/**
 * What makes a set of roles impossible for one principal, each with its pointer under `/roles`; empty when it is fine.
 * A machine holds no role of judgement, and who configures does not audit.
 */
export function checkRoles(kind: PrincipalKind, roles: readonly Role[]): FieldError[] {
  return roles.flatMap((role, index): FieldError[] => {
    const pointer = `/roles/${index}`;
    if (kind === 'service' && peopleOnly.includes(role)) {
      return [{ pointer, code: 'person_only', detail: `a service never holds ${role}` }];
    }
    if (role === 'auditor' && roles.includes('config-admin')) {
      return [
        { pointer, code: 'incompatible', detail: 'auditor and config-admin exclude each other' },
      ];
    }
    return [];
  });
}

/** Why a grant is refused, or undefined where it may be made. */
export type GrantRefusal = 'SELF_GRANT' | 'PLATFORM_ROLE';

/**
 * Who may give which roles to whom: nobody changes its own roles, and the platform's role is given only by who holds it.
 * @param grant.before the roles of the target now; none for a new principal
 */
export function refuseGrant(grant: {
  granter: { subject: string; roles: readonly string[] };
  target: string | undefined;
  before: readonly string[];
  after: readonly Role[];
}): GrantRefusal | undefined {
  if (grant.granter.subject === grant.target) return 'SELF_GRANT';
  const gains =
    grant.after.includes('platform-operator') && !grant.before.includes('platform-operator');
  if (gains && !grant.granter.roles.includes('platform-operator')) return 'PLATFORM_ROLE';
  return undefined;
}
