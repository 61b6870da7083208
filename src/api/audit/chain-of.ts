import { z } from 'zod';
import { SYSTEM_TENANT } from '../../domain/access/contract.js';
import type { Principal } from '../../domain/access/principal.js';
import { PlatformError } from '../../domain/errors.js';

/** Which chain is meant: the caller's tenant's, or the one of the system. */
export const chainQuery = {
  chain: z.enum(['tenant', 'system']).default('tenant').meta({
    description: 'The system chain needs platform:operate as well.',
  }),
};

/** The tenant id of the chain that is meant. @throws FORBIDDEN */
export function chainOf(principal: Principal, chain: 'tenant' | 'system'): string {
  if (chain === 'tenant') return principal.tenant;
  if (principal.permissions.has('platform:operate')) return SYSTEM_TENANT;
  throw new PlatformError('FORBIDDEN', 'The system chain needs the permission platform:operate.', {
    extensions: { permission: 'platform:operate' },
  });
}
