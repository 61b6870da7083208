import { createFileSecrets } from '../../src/adapters/secrets/file-provider.js';
import { createTenantStore, type TenantSeed } from '../../src/adapters/postgres/access-tenants.js';
import { createAccessWorld, type AccessWorld } from './access-app.js';

let world: AccessWorld;
beforeAll(async () => {
  world = await createAccessWorld();
});
afterAll(() => world.close());

async function seedOf(tenant: string): Promise<TenantSeed> {
  const secrets = createFileSecrets(`${world.checkpoints}-keys`);
  return {
    tenant,
    title: 'First',
    policies: [
      { name: 'default', revision: 1, criteria: [{ id: 'accuracy' }], digest: 'sha256:0' },
    ],
    admin: { name: 'admin', roles: ['tenant-admin'], env: 'dev', pepper: await secrets.pepper() },
  };
}
const rowsOf = (table: string, tenant: string) =>
  world.database.asSuperuser(`select * from ${table} where tenant_id = $1`, [tenant]);

test('processes that start together make one tenant, one administrator, one key and one policy', async () => {
  const seed = await seedOf('together');
  const begun = await Promise.all(
    Array.from({ length: 4 }, () => createTenantStore(world.database.api).bootstrap(seed)),
  );
  expect(begun.filter(({ adminKey }) => adminKey !== undefined)).toHaveLength(1);
  for (const table of ['tenant', 'principal', 'api_key', 'evaluation_policy']) {
    expect([table, (await rowsOf(table, 'together')).length]).toEqual([table, 1]);
  }
  const entries = await rowsOf('audit_entry', 'together');
  const actions = entries.map(
    ({ entry }) => (JSON.parse(String(entry)) as { action: string }).action,
  );
  expect(actions).toEqual([
    'access.tenant-created',
    'evaluation.policy-published',
    'access.principal-created',
    'access.key-issued',
  ]);
});

test('a later start changes nothing and shows no key', async () => {
  const seed = await seedOf('later');
  await world.tenants.bootstrap(seed);
  const before = await rowsOf('audit_entry', 'later');
  expect(await world.tenants.bootstrap(seed)).toEqual({ adminKey: undefined });
  expect(await rowsOf('audit_entry', 'later')).toEqual(before);
});

test('where the last administrator is gone, a start makes another', async () => {
  const seed = await seedOf('orphaned');
  await world.tenants.bootstrap(seed);
  await world.database.asSuperuser(
    `update principal set disabled_at = now() where tenant_id = 'orphaned'`,
  );
  expect((await world.tenants.bootstrap(seed)).adminKey).toBeDefined();
  expect((await rowsOf('principal', 'orphaned')).map(({ name }) => name)).toEqual([
    'admin',
    'admin-2',
  ]);
});

test('a tenant is added once, and `system` is never one', async () => {
  const actor = {
    subject: 'prn_x',
    kind: 'person' as const,
    roles: ['platform-operator'],
    via: 'test',
  };
  const caller = { tenant: 'default', actor };
  const seed = await seedOf('added');
  const { outcome, adminKey } = await world.tenants.createTenant(caller, seed);
  expect(outcome).toMatchObject({ status: 201, body: { tenant: 'added' } });
  expect(adminKey).toMatch(/^anneal_dev_/);
  await expect(world.tenants.createTenant(caller, seed)).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
  });
  await expect(world.tenants.bootstrap(await seedOf('system'))).rejects.toThrow('reserved');
  await expect(
    world.database.asSuperuser(`insert into tenant (tenant_id, title) values ('system', 'x')`),
  ).rejects.toThrow('tenant_id_not_reserved');
});
