import {
  createAccessWorld,
  issue,
  type AccessWorld,
  type ApiProcess,
} from '../access/access-app.js';

let world: AccessWorld;
let api: ApiProcess;
let tenant: string;
let admin: string;
beforeAll(async () => {
  world = await createAccessWorld();
  api = await world.startProcess();
});
beforeEach(async () => {
  ({ tenant, adminKey: admin } = await world.newTenant());
});
afterAll(() => world.close());

interface Item {
  seq: number;
  action: string;
  actor: { subject: string; via: string };
  resource: { type: string; id: string };
  requestId?: string;
  after?: unknown;
  before?: unknown;
}
const list = async (query = '', key = admin) => {
  const { status, body } = await api.send('GET', `/v1/audit${query}`, { key });
  return { status, items: body.items as Item[], nextCursor: body.nextCursor as string | undefined };
};

test('a change is listed with who made it, in which request, and what it was before and after', async () => {
  const { principalId } = await issue(api, admin, { roles: ['viewer'] });
  const me = (await api.send('GET', '/v1/me', { key: admin })).body;
  await api.send('PUT', `/v1/principals/${principalId}/roles`, {
    key: admin,
    body: { roles: ['auditor'] },
  });
  const [newest] = (await list()).items;
  expect(newest).toMatchObject({
    action: 'access.roles-set',
    actor: { subject: me.id, kind: 'person', roles: ['tenant-admin'], via: me.via },
    resource: { type: 'principal', id: principalId },
    before: { roles: ['viewer'] },
    after: { roles: ['auditor'] },
  });
  expect(newest?.requestId).toMatch(/^req_/);
});

test('no entry carries a name or a secret', async () => {
  const { key } = await issue(api, admin, { name: 'Ada Canary', roles: ['viewer'] });
  const text = JSON.stringify((await list('?limit=200')).items);
  expect(text).not.toContain('Canary');
  expect(text).not.toContain(key.split('_')[3]);
});

test('entries are filtered by action, resource and time, and paged newest first without gap', async () => {
  const { principalId } = await issue(api, admin, { roles: [] });
  await issue(api, admin, { roles: [] });
  const all = (await list('?limit=200')).items;
  expect(all.map(({ seq }) => seq)).toEqual([7, 6, 5, 4, 3, 2, 1]);
  const created = (await list('?action=access.principal-created')).items;
  expect(created.map(({ seq }) => seq)).toEqual([6, 4, 2]);
  expect((await list(`?resource=principal/${principalId}`)).items.map(({ seq }) => seq)).toEqual([
    4,
  ]);
  expect((await list('?resource=api_key')).items).toHaveLength(3);
  expect((await list('?to=2020-01-01T00:00:00Z')).items).toEqual([]);
  expect((await list('?from=2020-01-01T00:00:00Z')).items).toHaveLength(7);
  const pages: number[] = [];
  let cursor = '';
  do {
    const page = await list(`?limit=2&action=access.principal-created${cursor}`);
    pages.push(...page.items.map(({ seq }) => seq));
    cursor = page.nextCursor === undefined ? '' : `&cursor=${page.nextCursor}`;
  } while (cursor !== '');
  expect(pages).toEqual([6, 4, 2]);
  const first = await list('?limit=2');
  expect((await list(`?limit=2&action=x&cursor=${first.nextCursor ?? ''}`)).status).toBe(400);
});

test('bad filters are refused by name', async () => {
  const answer = await api.send('GET', '/v1/audit?from=yesterday&limit=0&colour=red', {
    key: admin,
  });
  expect(answer.status).toBe(400);
  const pointers = (answer.body.errors as { pointer: string }[]).map(({ pointer }) => pointer);
  expect(pointers.sort()).toEqual(['/query/colour', '/query/from', '/query/limit']);
});

test('a refused request of a known caller is in the audit before the answer leaves', async () => {
  const { key, principalId } = await issue(api, admin, { roles: ['viewer'] });
  const refused = await api.send('GET', '/v1/audit', { key });
  expect(refused).toMatchObject({
    status: 403,
    body: { code: 'FORBIDDEN', permission: 'audit:read' },
  });
  const [newest] = (await list()).items;
  expect(newest).toMatchObject({
    action: 'request.refused',
    actor: { subject: principalId },
    resource: { type: 'operation', id: 'audit.list' },
    requestId: refused.body.requestId,
  });
});

test('a tenant reads and verifies its own chain and no other', async () => {
  const other = await world.newTenant();
  await issue(api, other.adminKey, { roles: [] });
  expect((await list('?limit=200')).items).toHaveLength(3);
  const { body } = await api.send('GET', '/v1/audit:verify', { key: admin });
  expect(body).toMatchObject({ tenant, status: 'intact', size: 3, verified: 3 });
  const system = await api.send('GET', '/v1/audit:verify?chain=system', { key: admin });
  expect(system).toMatchObject({ status: 403, body: { permission: 'platform:operate' } });
});

test('a broken chain is answered as broken, and a tampered entry is shown as it is stored', async () => {
  await issue(api, admin, { roles: [] });
  await world.database.asSuperuser(`alter table audit_entry disable trigger append_only`);
  await world.database.asSuperuser(
    `update audit_entry set entry = 'not json' where tenant_id = $1 and seq = 4`,
    [tenant],
  );
  await world.database.asSuperuser(`alter table audit_entry enable trigger append_only`);
  expect(await api.send('GET', '/v1/audit:verify', { key: admin })).toMatchObject({
    status: 200,
    body: { status: 'broken', fault: { seq: 4, kind: 'edit' } },
  });
  const { items } = await list();
  expect(items.find(({ seq }) => seq === 4)).toMatchObject({ unreadable: 'not json' });
  expect((await list('?action=access.key-issued')).items.map(({ seq }) => seq)).toEqual([5, 3]);
});
