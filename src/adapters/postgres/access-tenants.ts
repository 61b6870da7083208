import { newTenantIdSchema } from '../../domain/access/contract.js';
import type { Role } from '../../domain/access/permissions.js';
import type { AuditFacts } from '../../domain/audit/contract.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import type { Env } from '../../domain/ids.js';
import type { KeyVersion } from '../../domain/secrets.js';
import { insertKey, insertPrincipal } from './access.js';
import type { Database, Tx } from './database.js';
import type { Prisma } from './generated/client.js';
import { mutate } from './mutate.js';

/** An evaluation policy that a new tenant starts with, as its row. */
interface PolicySeed {
  name: string;
  revision: number;
  criteria: unknown;
  digest: string;
}

/** What a tenant begins with. */
export interface TenantSeed {
  tenant: string;
  title: string;
  policies: readonly PolicySeed[];
  /** The first administrator: its name, its roles, and the environment and pepper of its key. */
  admin: { name: string; roles: readonly Role[]; env: Env; pepper: KeyVersion };
}

/** A tenant as it was made; `adminKey` is shown once and stored nowhere. */
export interface NewTenant {
  tenant: string;
  title: string;
  adminId: string;
}

/** Inserts the tenant's row unless it is there; true where it is new. */
const insertTenant = async (tx: Tx, seed: TenantSeed): Promise<boolean> =>
  (await tx.$executeRaw`insert into tenant (tenant_id, title) values (${seed.tenant}, ${seed.title})
    on conflict do nothing`) === 1;

async function insertPolicies(tx: Tx, seed: TenantSeed): Promise<AuditFacts[]> {
  const audit: AuditFacts[] = [];
  for (const { name, revision, criteria, digest } of seed.policies) {
    const { count } = await tx.evaluationPolicy.createMany({
      data: {
        tenantId: seed.tenant,
        name,
        revision,
        criteria: criteria as Prisma.InputJsonValue,
        digest,
        createdBy: 'system',
      },
      skipDuplicates: true,
    });
    if (count === 0) continue;
    const resource = { type: 'evaluation_policy', id: `${name}/${revision}`, digest };
    audit.push({ action: 'evaluation.policy-published', resource });
  }
  return audit;
}

async function insertAdmin(
  tx: Tx,
  seed: TenantSeed,
): Promise<{ adminId: string; key: string; audit: AuditFacts[] }> {
  const { name, roles, env, pepper } = seed.admin;
  const admin = await insertPrincipal(tx, seed.tenant, { kind: 'person', name, roles });
  const request = { principalId: admin.view.id, env };
  const owner = { tenant: seed.tenant, createdBy: 'system' };
  const { key, audit } = await insertKey(tx, owner, { request, pepper });
  return { adminId: admin.view.id, key, audit: [admin.audit, audit] };
}

/** True where someone can administer the tenant. */
async function hasAdmin(tx: Tx, tenant: string): Promise<boolean> {
  const count = await tx.principal.count({
    where: { tenantId: tenant, disabledAt: null, roles: { has: 'tenant-admin' } },
  });
  return count > 0;
}

const tenantFacts = (seed: TenantSeed): AuditFacts => ({
  action: 'access.tenant-created',
  resource: { type: 'tenant', id: seed.tenant },
});

/** Nothing to do: rolls the transaction back without a trace. */
class AlreadyBegun extends Error {}

async function begin(tx: Tx, seed: TenantSeed): Promise<{ key: string; audit: AuditFacts[] }> {
  // Processes that start together take turns; the later ones find an administrator.
  await tx.$queryRaw`select pg_advisory_xact_lock(hashtextextended(${`bootstrap ${seed.tenant}`}, 0))::text`;
  const isNew = await insertTenant(tx, seed);
  const audit = [...(isNew ? [tenantFacts(seed)] : []), ...(await insertPolicies(tx, seed))];
  if (await hasAdmin(tx, seed.tenant)) throw new AlreadyBegun();
  const taken = await tx.principal.count({
    where: { tenantId: seed.tenant, name: { startsWith: seed.admin.name } },
  });
  const name = taken === 0 ? seed.admin.name : `${seed.admin.name}-${taken + 1}`;
  const admin = await insertAdmin(tx, { ...seed, admin: { ...seed.admin, name } });
  return { key: admin.key, audit: [...audit, ...admin.audit] };
}

/** Tenants: the first one, and those that a platform operator adds. */
export const createTenantStore = (db: Database) => ({
  /**
   * Makes sure that a tenant exists, can be administered and has its policies. Idempotent, also between processes that
   * start together.
   * @returns the administrator's key only where this call made it: while no administrator existed
   */
  bootstrap: async (seed: TenantSeed): Promise<{ adminKey: string | undefined }> => {
    newTenantIdSchema.parse(seed.tenant);
    const begun = await db.withTenant(seed.tenant, (tx) => hasAdmin(tx, seed.tenant));
    if (begun) return { adminKey: undefined };
    const actor = { subject: 'system', kind: 'system' as const, roles: [], via: 'bootstrap' };
    let adminKey: string | undefined;
    try {
      await mutate(db, { tenant: seed.tenant, actor }, async (tx) => {
        const { key, audit } = await begin(tx, seed);
        adminKey = key;
        return { status: 201, body: {}, audit };
      });
      return { adminKey };
    } catch (error) {
      if (error instanceof AlreadyBegun) return { adminKey: undefined };
      throw error;
    }
  },

  /**
   * Adds a tenant with its administrator; the entry stands in the new tenant's own chain.
   * @throws ALREADY_EXISTS
   */
  createTenant: async (
    caller: Caller,
    seed: TenantSeed,
  ): Promise<{ outcome: Outcome<NewTenant>; adminKey: string | undefined }> => {
    newTenantIdSchema.parse(seed.tenant);
    let adminKey: string | undefined;
    const outcome = await mutate(db, { ...caller, tenant: seed.tenant }, async (tx) => {
      if (!(await insertTenant(tx, seed))) {
        throw new PlatformError('ALREADY_EXISTS', 'A tenant of this id exists.');
      }
      const policies = await insertPolicies(tx, seed);
      const { adminId, key, audit } = await insertAdmin(tx, seed);
      adminKey = key;
      const body = { tenant: seed.tenant, title: seed.title, adminId };
      return { status: 201, body, audit: [tenantFacts(seed), ...policies, ...audit] };
    });
    return { outcome, adminKey: outcome.replayed ? undefined : adminKey };
  },
});
