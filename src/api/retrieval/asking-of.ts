import { groupsOf, type Principal } from '../../domain/access/principal.js';

/** The caller as a reader: its own id, its groups, and one group per role. */
export const askingOf = (principal: Principal) => ({
  tenant: principal.tenant,
  subject: principal.subject,
  groups: groupsOf(principal),
  mayDelegate: principal.permissions.has('retrieval:delegate'),
});
export type Asking = ReturnType<typeof askingOf>;
