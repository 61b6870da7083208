import { randomBytes } from 'node:crypto';
import {
  apiKeyPrefix,
  formatApiKey,
  hashApiKeySecret,
  parseApiKey,
} from '../../domain/access/api-key.js';
import { checkRoles, refuseGrant } from '../../domain/access/check-roles.js';
import type {
  ApiKeyView,
  CreatePrincipal,
  PrincipalKind,
  PrincipalView,
} from '../../domain/access/contract.js';
import type { KeyRecord } from '../../domain/access/key-record.js';
import type { Role } from '../../domain/access/permissions.js';
import type { AuditFacts } from '../../domain/audit/contract.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller, Change, Outcome } from '../../domain/events/change.js';
import type { Env } from '../../domain/ids.js';
import type { KeyVersion } from '../../domain/secrets.js';
import type { Database, Tx } from './database.js';
import type { ApiKey, Principal } from './generated/client.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';

const principalView = (row: Principal): PrincipalView => ({
  id: row.principalId,
  kind: row.kind as PrincipalKind,
  name: row.name,
  roles: row.roles as Role[],
  groups: row.groups,
  createdAt: row.createdAt.toISOString(),
  ...(row.disabledAt === null ? {} : { disabledAt: row.disabledAt.toISOString() }),
});

const keyView = (row: ApiKey): ApiKeyView => ({
  id: row.keyId,
  principalId: row.principalId,
  env: row.env as Env,
  prefix: apiKeyPrefix(row.env, row.keyId),
  lastFour: row.lastFour,
  scopes: row.scopes,
  createdAt: row.createdAt.toISOString(),
  createdBy: row.createdBy,
  ...(row.expiresAt === null ? {} : { expiresAt: row.expiresAt.toISOString() }),
  ...(row.revokedAt === null ? {} : { revokedAt: row.revokedAt.toISOString() }),
});

const absent = (what: string): PlatformError =>
  new PlatformError('NOT_FOUND', `There is no ${what} of this id here.`);

/** Tells every process, at commit, that what it remembers of a key or a principal is out of date. */
const notify = (tx: Tx, id: string): Promise<unknown> =>
  tx.$queryRaw`select pg_notify('access', ${id})::text`;

/** Refuses roles that no such principal may hold, and grants that this granter may not make. */
function assertGrant(
  caller: Caller,
  target: { id: string | undefined; kind: PrincipalKind; before: readonly string[] },
  after: readonly Role[],
): void {
  const errors = checkRoles(target.kind, after);
  if (errors.length > 0) {
    throw new PlatformError(
      'INVALID_REQUEST',
      'These roles cannot be held together or by a service.',
      {
        errors,
      },
    );
  }
  const granter = caller.actor;
  const refusal = refuseGrant({ granter, target: target.id, before: target.before, after });
  if (refusal === 'SELF_GRANT') {
    throw new PlatformError('SEPARATION_OF_DUTIES', 'Nobody changes its own roles.');
  }
  if (refusal === 'PLATFORM_ROLE') {
    throw new PlatformError('FORBIDDEN', 'Only a platform-operator grants platform-operator.', {
      extensions: { permission: 'platform:operate' },
    });
  }
}

/** A key to issue: the request of an administrator, its ids unbranded. */
export interface KeyRequest {
  principalId: string;
  env: Env;
  scopes?: readonly string[] | undefined;
  /** UTC ISO 8601. */
  expiresAt?: string | undefined;
}

/** Inserts a principal whose roles were checked. @throws ALREADY_EXISTS for a name in use */
export async function insertPrincipal(
  tx: Tx,
  tenant: string,
  input: {
    kind: PrincipalKind;
    name: string;
    roles: readonly string[];
    groups?: readonly string[];
  },
): Promise<{ view: PrincipalView; audit: AuditFacts }> {
  const found = await tx.principal.findUnique({
    where: { tenantId_name: { tenantId: tenant, name: input.name } },
  });
  if (found !== null) {
    throw new PlatformError('ALREADY_EXISTS', 'A principal of this name exists.', {
      extensions: { existing: found.principalId },
    });
  }
  const row = await tx.principal.create({
    data: {
      tenantId: tenant,
      principalId: newId('principal'),
      kind: input.kind,
      name: input.name,
      roles: [...input.roles],
      groups: [...(input.groups ?? [])],
    },
  });
  return {
    view: principalView(row),
    audit: {
      action: 'access.principal-created',
      resource: { type: 'principal', id: row.principalId },
      after: { kind: row.kind, roles: row.roles, groups: row.groups },
    },
  };
}

/** Inserts a key with a secret made here, next to its row: only its HMAC is stored. */
export async function insertKey(
  tx: Tx,
  owner: { tenant: string; createdBy: string },
  input: { request: KeyRequest; pepper: KeyVersion },
): Promise<{ view: ApiKeyView; audit: AuditFacts; key: string }> {
  const { request, pepper } = input;
  const keyId = newId('apiKey');
  const key = formatApiKey(request.env, keyId, randomBytes(32));
  const secret = parseApiKey(key)?.secret;
  if (secret === undefined) throw new Error('a key that was just made must parse');
  const row = await tx.apiKey.create({
    data: {
      tenantId: owner.tenant,
      keyId,
      principalId: request.principalId,
      env: request.env,
      lastFour: key.slice(-4),
      secretHmac: new Uint8Array(hashApiKeySecret(pepper, secret)),
      pepperVersion: pepper.version,
      scopes: [...(request.scopes ?? [])],
      expiresAt: request.expiresAt === undefined ? null : new Date(request.expiresAt),
      createdBy: owner.createdBy,
    },
  });
  const view = keyView(row);
  const { principalId, env, scopes, expiresAt } = view;
  const audit = {
    action: 'access.key-issued',
    resource: { type: 'api_key', id: keyId },
    after: { principalId, env, scopes, expiresAt },
  };
  return { view, audit, key };
}

/** The row of a principal, locked, so that what is decided on it still holds at the write. @throws NOT_FOUND */
async function lockPrincipal(tx: Tx, tenantId: string, principalId: string): Promise<Principal> {
  await tx.$queryRaw`select 1 from principal
    where tenant_id = ${tenantId} and principal_id = ${principalId} for update`;
  const found = await tx.principal.findUnique({
    where: { tenantId_principalId: { tenantId, principalId } },
  });
  if (found === null) throw absent('principal');
  return found;
}

async function setGroups(
  tx: Tx,
  caller: Caller,
  input: { principalId: string; groups: readonly string[] },
): Promise<{ view: PrincipalView; audit: AuditFacts }> {
  const found = await lockPrincipal(tx, caller.tenant, input.principalId);
  if (found.principalId === caller.actor.subject)
    throw new PlatformError('SEPARATION_OF_DUTIES', 'Nobody changes its own groups.');
  const row = await tx.principal.update({
    where: { tenantId_principalId: { tenantId: caller.tenant, principalId: found.principalId } },
    data: { groups: [...input.groups] },
  });
  await notify(tx, row.principalId);
  return {
    view: principalView(row),
    audit: {
      action: 'access.groups-set',
      resource: { type: 'principal', id: row.principalId },
      before: { groups: found.groups },
      after: { groups: row.groups },
    },
  };
}

async function setRoles(
  tx: Tx,
  caller: Caller,
  input: { principalId: string; roles: readonly Role[] },
): Promise<{ view: PrincipalView; audit: AuditFacts }> {
  const id = { tenantId: caller.tenant, principalId: input.principalId };
  const found = await lockPrincipal(tx, id.tenantId, id.principalId);
  const target = { id: found.principalId, kind: found.kind as PrincipalKind, before: found.roles };
  assertGrant(caller, target, input.roles);
  const row = await tx.principal.update({
    where: { tenantId_principalId: id },
    data: { roles: [...input.roles] },
  });
  await notify(tx, row.principalId);
  return {
    view: principalView(row),
    audit: {
      action: 'access.roles-set',
      resource: { type: 'principal', id: row.principalId },
      before: { roles: found.roles },
      after: { roles: row.roles },
    },
  };
}

async function createKey(
  db: Database,
  caller: Caller,
  input: { request: KeyRequest; pepper: KeyVersion },
): Promise<{ outcome: Outcome<ApiKeyView>; key: string | undefined }> {
  let key: string | undefined;
  const outcome = await mutate(db, caller, async (tx) => {
    const id = { tenantId: caller.tenant, principalId: input.request.principalId };
    if ((await tx.principal.findUnique({ where: { tenantId_principalId: id } })) === null) {
      throw absent('principal');
    }
    const owner = { tenant: caller.tenant, createdBy: caller.actor.subject };
    const issued = await insertKey(tx, owner, input);
    key = issued.key;
    return { status: 201, body: issued.view, audit: issued.audit };
  });
  return { outcome, key: outcome.replayed ? undefined : key };
}

async function revokeKey(tx: Tx, caller: Caller, keyId: string): Promise<Change<ApiKeyView>> {
  const id = { tenantId: caller.tenant, keyId };
  const revoked = await tx.$executeRaw`update api_key set revoked_at = now()
    where tenant_id = ${id.tenantId} and key_id = ${keyId} and revoked_at is null`;
  const row = await tx.apiKey.findUnique({ where: { tenantId_keyId: id } });
  if (row === null) throw absent('key');
  if (revoked === 0) {
    throw new PlatformError('ILLEGAL_TRANSITION', 'The key is revoked already.', {
      extensions: { state: 'REVOKED', allowed: [] },
    });
  }
  await notify(tx, keyId);
  const view = keyView(row);
  const audit = {
    action: 'access.key-revoked',
    resource: { type: 'api_key', id: keyId },
    after: { principalId: view.principalId, revokedAt: view.revokedAt },
  };
  return { status: 200, body: view, audit };
}

/** What a key look-up answers, before a tenant is known. */
async function findKey(db: Database, keyId: string): Promise<KeyRecord | undefined> {
  const [row] = await db.call('select * from access_key_find($1)', [keyId]);
  if (row === undefined) return undefined;
  const timeMs = (value: unknown) => (value === null ? undefined : (value as Date).getTime());
  return {
    tenant: String(row.tenant_id),
    keyId: String(row.key_id),
    principalId: String(row.principal_id),
    name: String(row.name),
    kind: row.kind as PrincipalKind,
    env: row.env as Env,
    secretHmac: row.secret_hmac as Uint8Array,
    pepperVersion: Number(row.pepper_version),
    scopes: row.scopes as string[],
    roles: row.roles as Role[],
    groups: row.groups as string[],
    expiresAtMs: timeMs(row.expires_at),
    revokedAtMs: timeMs(row.revoked_at),
    disabledAtMs: timeMs(row.disabled_at),
  };
}

/** Principals and API keys. Every change is one transaction with its audit entry; caches hear of it by NOTIFY `access`. */
export const createAccessStore = (db: Database) => ({
  findKey: (keyId: string): Promise<KeyRecord | undefined> => findKey(db, keyId),

  /** @throws INVALID_REQUEST, FORBIDDEN, ALREADY_EXISTS */
  createPrincipal: (caller: Caller, input: CreatePrincipal): Promise<Outcome<PrincipalView>> =>
    mutate(db, caller, async (tx) => {
      assertGrant(caller, { id: undefined, kind: input.kind, before: [] }, input.roles);
      const { view, audit } = await insertPrincipal(tx, caller.tenant, input);
      return { status: 201, body: view, audit };
    }),

  /** Newest first by id, strictly before `after`; one more than `limit`, so that the reader sees whether there is more. */
  listPrincipals: (
    tenant: string,
    page: { limit: number; after: string | undefined },
  ): Promise<PrincipalView[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.principal.findMany({
        where: {
          tenantId: tenant,
          ...(page.after === undefined ? {} : { principalId: { lt: page.after } }),
        },
        orderBy: { principalId: 'desc' },
        take: page.limit + 1,
      });
      return rows.map(principalView);
    }),

  /** @throws NOT_FOUND, INVALID_REQUEST, SEPARATION_OF_DUTIES, FORBIDDEN */
  setRoles: (
    caller: Caller,
    input: { principalId: string; roles: readonly Role[] },
  ): Promise<Outcome<PrincipalView>> =>
    mutate(db, caller, async (tx) => {
      const { view, audit } = await setRoles(tx, caller, input);
      return { status: 200, body: view, audit };
    }),

  /** What the principal may read follows within 5 s. @throws NOT_FOUND, SEPARATION_OF_DUTIES */
  setGroups: (
    caller: Caller,
    input: { principalId: string; groups: readonly string[] },
  ): Promise<Outcome<PrincipalView>> =>
    mutate(db, caller, async (tx) => {
      const { view, audit } = await setGroups(tx, caller, input);
      return { status: 200, body: view, audit };
    }),

  /**
   * Issues a key. The key itself is returned beside the outcome and is in nothing that is stored: a replay has none.
   * @throws NOT_FOUND for an unknown principal
   */
  createKey: (caller: Caller, request: KeyRequest, pepper: KeyVersion) =>
    createKey(db, caller, { request, pepper }),

  /** Newest first by id, strictly before `after`; one more than `limit`. */
  listKeys: (
    tenant: string,
    filter: { principalId?: string | undefined },
    page: { limit: number; after: string | undefined },
  ): Promise<ApiKeyView[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.apiKey.findMany({
        where: {
          tenantId: tenant,
          ...(filter.principalId === undefined ? {} : { principalId: filter.principalId }),
          ...(page.after === undefined ? {} : { keyId: { lt: page.after } }),
        },
        orderBy: { keyId: 'desc' },
        take: page.limit + 1,
      });
      return rows.map(keyView);
    }),

  /** @throws NOT_FOUND, ILLEGAL_TRANSITION for a key that is revoked already */
  revokeKey: (caller: Caller, keyId: string): Promise<Outcome<ApiKeyView>> =>
    mutate(db, caller, (tx) => revokeKey(tx, caller, keyId)),
});
