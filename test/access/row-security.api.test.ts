import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Database } from '../../src/adapters/postgres/database.js';
import { createAccessWorld, type AccessWorld } from './access-app.js';

let world: AccessWorld;
let tables: string[];
const mine = 'mine';
const theirs = 'theirs';

beforeAll(async () => {
  world = await createAccessWorld();
  const found = await world.database.asSuperuser(
    `select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
       and relname not in ('_prisma_migrations', 'admission_bucket') order by 1`,
  );
  tables = found.map(({ relname }) => String(relname));
  for (const tenant of [mine, theirs]) await fill(tenant);
});
afterAll(() => world.close());

/** One row of a tenant in every table, whatever its columns are; constraints and triggers stay on for others. */
async function fill(tenant: string): Promise<void> {
  const client = new pg.Client({ connectionString: world.database.adminUrl });
  await client.connect();
  try {
    await client.query(`set session_replication_role = 'replica'`);
    for (const table of tables) {
      const { rows } = await client.query<{ name: string; type: string }>(
        `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
         where attrelid = $1::regclass and attnum > 0 and not attisdropped
           and (attnotnull or attname = 'tenant_id')`,
        [table],
      );
      const values = rows.map(({ name, type }) => valueOf(tenant, name, type));
      const columns = rows.map(({ name }) => client.escapeIdentifier(name));
      await client.query(
        `insert into ${table} (${columns.join()}) values (${values.map((_, i) => `$${i + 1}`).join()})
         on conflict do nothing`,
        values,
      );
    }
  } finally {
    await client.end();
  }
}

function valueOf(tenant: string, column: string, type: string): unknown {
  if (column === 'tenant_id') return tenant;
  if (type.endsWith('[]')) return [];
  if (type.startsWith('timestamp')) return new Date();
  if (type === 'uuid') return randomUUID();
  if (type === 'bytea') return Buffer.from(`${tenant}${column}`);
  if (type.startsWith('json')) return '{}';
  if (type === 'boolean') return false;
  if (/int|numeric|double|real/.test(type)) return 1;
  return `${tenant}-${column}`;
}

/** Runs SQL as a role without any tenant set, as a stolen connection would. */
async function asRole(role: string, sql: string): Promise<Record<string, unknown>[] | string> {
  const client = new pg.Client({ connectionString: world.database.adminUrl });
  await client.connect();
  try {
    await client.query(`set role ${role}`);
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await client.end();
  }
}

/** What each table shows a role: a number of rows, or `denied`. */
async function visible(role: string): Promise<Record<string, number | 'denied'>> {
  const seen: Record<string, number | 'denied'> = {};
  for (const table of tables) {
    const rows = await asRole(role, `select count(*)::int as n from ${table}`);
    seen[table] = typeof rows === 'string' ? 'denied' : Number(rows[0]?.n);
  }
  return seen;
}

test('every table carries the tenant first in its key, and row-level security that its owner cannot skip', async () => {
  const rows = await world.database.asSuperuser(
    `select c.relname, c.relrowsecurity and c.relforcerowsecurity as forced,
       (select a.attname from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
        where i.indrelid = c.oid and i.indisprimary) as first
     from pg_class c where c.relname = any($1)`,
    [tables],
  );
  expect(rows.length).toBeGreaterThan(30);
  for (const { relname, forced, first } of rows) {
    expect([relname, forced, first]).toEqual([relname, true, 'tenant_id']);
  }
});

test('the one table without a tenant counts requests by hashes, and only the API reaches it', async () => {
  const columns = await world.database.asSuperuser(
    `select attname from pg_attribute where attrelid = 'admission_bucket'::regclass and attnum > 0 order by attnum`,
  );
  expect(columns.map(({ attname }) => attname)).toEqual(['key', 'points', 'expire']);
  const count = 'select count(*)::int as n from admission_bucket';
  expect(await asRole('anneal_api', count)).toEqual([{ n: 0 }]);
  for (const role of ['anneal_worker', 'anneal_relay'])
    expect([role, await asRole(role, count)]).toEqual([
      role,
      'permission denied for table admission_bucket',
    ]);
});

test('no tenant set means zero rows in every table, for every role that serves', async () => {
  const api = await visible('anneal_api');
  expect(Object.entries(api).filter(([, rows]) => rows !== 0)).toEqual([]);
  const worker = await visible('anneal_worker');
  const shown = Object.entries(worker).filter(([, rows]) => rows !== 0);
  expect(shown).toEqual([
    ['api_key', 'denied'],
    ['idempotency', 'denied'],
  ]);
  const relay = Object.entries(await visible('anneal_relay')).filter(
    ([, rows]) => rows !== 'denied',
  );
  expect(relay.map(([table]) => table)).toEqual(['intent', 'outbox', 'wake']);
});

test('the owner sees no tenant’s data either, but for the look-ups that come before a tenant is known', async () => {
  const seen = Object.entries(await visible('anneal_owner')).filter(([, rows]) => rows !== 0);
  const names = seen.map(([table]) => table);
  const audit = ['audit_entry', 'audit_head', 'audit_leaf'];
  expect(names.filter((name) => !audit.includes(name))).toEqual(['api_key', 'principal', 'tenant']);
});

test('no role that serves is a superuser, bypasses, creates, or owns or inherits anything', async () => {
  const roles = ['anneal_api', 'anneal_worker', 'anneal_relay'];
  const rows = await world.database.asSuperuser(
    `select rolname, rolsuper or rolbypassrls or rolcreatedb or rolcreaterole or rolreplication or rolinherit as strong,
       (select count(*)::int from pg_auth_members where member = r.oid) as memberships,
       (select count(*)::int from pg_class where relowner = r.oid)
         + (select count(*)::int from pg_proc where proowner = r.oid) as owned
     from pg_roles r where rolname = any($1) order by 1`,
    [roles],
  );
  expect(rows).toEqual(
    [...roles].sort().map((rolname) => ({ rolname, strong: false, memberships: 0, owned: 0 })),
  );
  for (const role of roles) {
    expect(await asRole(role, 'alter table audit_entry disable trigger all')).toMatch(
      /must be owner/,
    );
    expect(await asRole(role, 'create table x (y int)')).toMatch(/permission denied/);
  }
});

test('a serving role cannot delete, change or empty the audit, and the owner’s triggers refuse it too', async () => {
  for (const role of ['anneal_api', 'anneal_worker', 'anneal_relay']) {
    for (const sql of [
      'delete from audit_entry',
      `update audit_entry set entry = 'x'`,
      'truncate audit_entry',
      `insert into audit_entry (tenant_id, seq, at_micros, entry, entry_hash, prev_hash, hash)
         values ('mine', 9, 1, 'x', '', '', '')`,
      'update audit_head set seq = 0',
      'delete from audit_leaf',
    ]) {
      expect([role, sql, await asRole(role, sql)]).toEqual([
        role,
        sql,
        expect.stringMatching(/permission denied/),
      ]);
    }
  }
  const truncate = world.database.asSuperuser('truncate audit_entry');
  await expect(truncate).rejects.toThrow('append-only');
  const erase = world.database.asSuperuser(`delete from audit_entry where tenant_id = 'mine'`);
  await expect(erase).rejects.toThrow('append-only');
});

test('only the API may look a key up, and nobody may call what a worker seals with', async () => {
  const find = `select * from access_key_find('x')`;
  expect(await asRole('anneal_api', find)).toEqual([]);
  for (const role of ['anneal_worker', 'anneal_relay']) {
    expect(await asRole(role, find)).toMatch(/permission denied/);
  }
  const seal = `select audit_seal_leaves('mine', '{}', '{}')`;
  expect(await asRole('anneal_api', seal)).toMatch(/permission denied/);
  const approve = `insert into approval_decision (tenant_id, decision_id) values ('mine', 'x')`;
  expect(await asRole('anneal_worker', approve)).toMatch(/permission denied/);
});

test('under one tenant no row of another can be read, changed, moved or added', async () => {
  const { api } = world.database;
  const readable = await api.withTenant(mine, async (tx) => {
    const foreign: string[] = [];
    for (const table of tables) {
      const rows = await tx.$queryRawUnsafe<{ n: number }[]>(
        `select count(*)::int as n from ${table} where tenant_id = '${theirs}'`,
      );
      if (rows[0]?.n !== 0) foreign.push(table);
    }
    return foreign;
  });
  expect(readable).toEqual([]);
  const changed = await api.withTenant(
    mine,
    (tx) => tx.$executeRaw`update principal set name = 'stolen' where tenant_id = ${theirs}`,
  );
  expect(changed).toBe(0);
  const move = api.withTenant(
    mine,
    (tx) => tx.$executeRaw`update principal set tenant_id = ${theirs} where tenant_id = ${mine}`,
  );
  await expect(move).rejects.toThrow(/row-level security/);
  const add = api.withTenant(
    mine,
    (tx) => tx.$executeRaw`insert into principal (tenant_id, principal_id, kind, name, roles)
      values (${theirs}, ${randomUUID()}, 'person', 'x', '{}')`,
  );
  await expect(add).rejects.toThrow(/row-level security/);
});

test('a query outside a tenant’s transaction is refused before it is sent', async () => {
  const { api } = world.database;
  let leaked: Parameters<Parameters<Database['withTenant']>[1]>[0] | undefined;
  await api.withTenant(mine, async (tx) => {
    leaked = tx;
  });
  await expect(leaked?.principal.findMany()).rejects.toThrow();
});

test('interleaved transactions of two tenants on one pool never see a foreign row', async () => {
  const { api } = world.database;
  const foreign = await Promise.all(
    Array.from({ length: 2_000 }, async (_, i) => {
      const tenant = i % 2 === 0 ? mine : theirs;
      const rows = await api.withTenant(
        tenant,
        (tx) => tx.$queryRaw<{ tenant_id: string }[]>`select tenant_id from principal`,
      );
      expect(rows.length).toBeGreaterThan(0);
      return rows.filter(({ tenant_id }) => tenant_id !== tenant).length;
    }),
  );
  expect(foreign.filter((count) => count > 0)).toEqual([]);
});
