import type { Principal } from '../../domain/access/principal.js';

/** Groups that access lists may name for a principal: its own, and its roles. */
export const groupsOf = ({ groups, roles }: Pick<Principal, 'groups' | 'roles'>): string[] => [
  ...new Set([...groups, ...roles]),
];

/** The caller as a reader: its own id, its groups, and one group per role. */
export const askingOf = (principal: Principal) => ({
  tenant: principal.tenant,
  subject: principal.subject,
  groups: groupsOf(principal),
  mayDelegate: principal.permissions.has('retrieval:delegate'),
});
export type Asking = ReturnType<typeof askingOf>;
