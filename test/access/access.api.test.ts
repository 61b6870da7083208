import { randomUUID } from 'node:crypto';
import { permissionsOf } from '../../src/domain/access/permissions.js';
import { eventually } from '../support/eventually.js';
import {
  createAccessWorld,
  eachRole,
  issue,
  type AccessWorld,
  type ApiProcess,
} from './access-app.js';

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

const person = (roles: string[]) => ({ kind: 'person', name: randomUUID(), roles });
const auditActions = async () => {
  const { body } = await api.send('GET', '/v1/audit?limit=200', { key: admin });
  return (body.items as { action: string }[]).map(({ action }) => action);
};

test('a caller learns who it is, with any valid key and with no other', async () => {
  const { key } = await issue(api, admin, { kind: 'service', roles: ['service'] });
  const me = await api.send('GET', '/v1/me', { key });
  expect(me).toMatchObject({
    status: 200,
    body: { tenant, kind: 'service', roles: ['service'], env: 'dev' },
  });
  expect(me.body.permissions).toEqual(['feedback:write', 'inference:invoke', 'retrieval:query']);
  for (const bad of [undefined, 'nonsense', `${key}x`]) {
    const refused = await api.send('GET', '/v1/me', { key: bad });
    expect(refused).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } });
  }
});

test('every role reaches what the matrix gives it and is refused the rest', async () => {
  const calls = [
    { permission: 'access:read', method: 'GET', path: '/v1/principals' },
    { permission: 'access:read', method: 'GET', path: '/v1/api-keys' },
    { permission: 'access:write', method: 'POST', path: '/v1/principals' },
    { permission: 'audit:read', method: 'GET', path: '/v1/audit' },
    { permission: 'audit:verify', method: 'GET', path: '/v1/audit:verify' },
  ] as const;
  const { adminKey } = await world.newTenant({ roles: ['tenant-admin', 'platform-operator'] });
  for (const role of eachRole) {
    const { key } = await issue(api, adminKey, {
      kind: role === 'service' ? 'service' : 'person',
      roles: [role],
    });
    for (const { permission, method, path } of calls) {
      const body = method === 'POST' ? { body: person([]) } : {};
      const { status } = await api.send(method, path, { key, ...body });
      const allowed = permissionsOf([role], []).has(permission);
      expect([role, path, status]).toEqual([
        role,
        path,
        allowed ? (method === 'POST' ? 201 : 200) : 403,
      ]);
    }
  }
}, 60_000);

test('the secret of a key is shown once, and stands nowhere in the database', async () => {
  const { principalId } = await issue(api, admin, { roles: ['viewer'] });
  const request = { key: admin, body: { principalId, env: 'prod' }, idempotencyKey: randomUUID() };
  const first = await api.send('POST', '/v1/api-keys', request);
  const again = await api.send('POST', '/v1/api-keys', request);
  const key = first.body.key as string;
  expect(key).toMatch(/^anneal_prod_/);
  expect(first.body).toMatchObject({ prefix: key.slice(0, 38), lastFour: key.slice(-4) });
  const rest = Object.fromEntries(Object.entries(first.body).filter(([name]) => name !== 'key'));
  expect(again).toEqual({ status: 201, body: rest });
  const secret = key.split('_')[3] ?? '';
  const tables = await world.database.asSuperuser(
    `select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`,
  );
  for (const { relname } of tables) {
    const found = await world.database.asSuperuser(
      `select count(*)::int as n from "${String(relname)}" t where t::text like $1`,
      [`%${secret}%`],
    );
    expect([relname, found[0]?.n]).toEqual([relname, 0]);
  }
  const listed = await api.send('GET', '/v1/api-keys', { key: admin });
  expect(JSON.stringify(listed.body)).not.toContain(secret);
});

test('a revoked key is refused on every process within five seconds, and cannot be revoked twice', async () => {
  const other = await world.startProcess();
  const { key, keyId } = await issue(api, admin, { roles: ['viewer'] });
  for (const each of [api, other]) {
    expect((await each.send('GET', '/v1/principals', { key })).status).toBe(200);
  }
  const revoked = await api.send('POST', `/v1/api-keys/${keyId}:revoke`, { key: admin });
  expect(revoked).toMatchObject({ status: 200, body: { id: keyId } });
  expect(revoked.body.revokedAt).toBeDefined();
  for (const each of [api, other]) {
    await eventually(
      async () => expect((await each.send('GET', '/v1/principals', { key })).status).toBe(401),
      { timeoutMs: 5_000 },
    );
  }
  const again = await api.send('POST', `/v1/api-keys/${keyId}:revoke`, { key: admin });
  expect(again).toMatchObject({ status: 409, body: { code: 'ILLEGAL_TRANSITION' } });
});

test('groups are set by an administrator, never by oneself, and every process knows them', async () => {
  const other = await world.startProcess();
  const { key, principalId } = await issue(api, admin, { roles: ['viewer'] });
  const path = `/v1/principals/${principalId}/groups`;
  const set = await api.send('PUT', path, { key: admin, body: { groups: ['staff', 'legal'] } });
  expect(set).toMatchObject({ status: 200, body: { groups: ['staff', 'legal'] } });
  for (const each of [api, other]) {
    await eventually(
      async () =>
        expect((await each.send('GET', '/v1/me', { key })).body.groups).toEqual(['staff', 'legal']),
      { timeoutMs: 5_000 },
    );
  }
  const twice = await api.send('PUT', path, { key: admin, body: { groups: ['a b', 'c', 'c'] } });
  expect(twice).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST' } });
  const { body: me } = await api.send('GET', '/v1/me', { key: admin });
  const own = `/v1/principals/${String(me.id)}/groups`;
  const self = await api.send('PUT', own, { key: admin, body: { groups: ['staff'] } });
  expect(self).toMatchObject({ status: 403, body: { code: 'SEPARATION_OF_DUTIES' } });
  expect(await auditActions()).toContain('access.groups-set');
});

test('a key follows its owner’s roles on every process, and scopes never exceed them', async () => {
  const other = await world.startProcess();
  const scopes = ['access:read', 'audit:read'];
  const { key, principalId } = await issue(api, admin, { roles: ['auditor'], scopes });
  for (const each of [api, other]) {
    expect((await each.send('GET', '/v1/audit', { key })).status).toBe(200);
    expect((await each.send('GET', '/v1/audit:verify', { key })).status).toBe(403);
  }
  const path = `/v1/principals/${principalId}/roles`;
  const set = await api.send('PUT', path, { key: admin, body: { roles: ['viewer'] } });
  expect(set).toMatchObject({ status: 200, body: { roles: ['viewer'] } });
  for (const each of [api, other]) {
    await eventually(
      async () => expect((await each.send('GET', '/v1/audit', { key })).status).toBe(403),
      { timeoutMs: 5_000 },
    );
    expect((await each.send('GET', '/v1/principals', { key })).status).toBe(200);
  }
});

test('an expired key is refused, and one that would be expired is not issued', async () => {
  const soon = new Date(Date.now() + 5_000).toISOString();
  const { key, principalId } = await issue(api, admin, { roles: ['viewer'], expiresAt: soon });
  expect((await api.send('GET', '/v1/me', { key })).status).toBe(200);
  await eventually(async () => expect((await api.send('GET', '/v1/me', { key })).status).toBe(401));
  const past = await api.send('POST', '/v1/api-keys', {
    key: admin,
    body: { principalId, env: 'dev', expiresAt: '2020-01-01T00:00:00Z' },
  });
  expect(past).toMatchObject({ status: 400, body: { errors: [{ pointer: '/expiresAt' }] } });
});

test('forbidden grants are refused with the reason, and leave nothing but the refusal in the audit', async () => {
  const me = (await api.send('GET', '/v1/me', { key: admin })).body.id as string;
  const { principalId } = await issue(api, admin, { roles: ['auditor'] });
  const before = await auditActions();
  const post = (body: unknown) => api.send('POST', '/v1/principals', { key: admin, body });
  const put = (id: string, roles: string[]) =>
    api.send('PUT', `/v1/principals/${id}/roles`, { key: admin, body: { roles } });
  const robot = { kind: 'service', name: 'robot', roles: ['service', 'approver'] };
  expect(await post(robot)).toMatchObject({
    status: 400,
    body: { code: 'INVALID_REQUEST', errors: [{ pointer: '/roles/1', code: 'person_only' }] },
  });
  expect(await put(principalId, ['auditor', 'config-admin'])).toMatchObject({
    status: 400,
    body: { errors: [{ pointer: '/roles/0', code: 'incompatible' }] },
  });
  expect(await put(me, ['tenant-admin', 'approver'])).toMatchObject({
    status: 403,
    body: { code: 'SEPARATION_OF_DUTIES' },
  });
  expect(await post(person(['platform-operator']))).toMatchObject({
    status: 403,
    body: { code: 'FORBIDDEN', permission: 'platform:operate' },
  });
  expect(await post({ ...person(['viewer']), tenantId: 'other', roles: ['root'] })).toMatchObject({
    status: 400,
    body: { errors: [{ pointer: '/roles/0' }, { pointer: '/tenantId', code: 'unknown_key' }] },
  });
  const after = await auditActions();
  expect(after.slice(0, after.length - before.length)).toEqual(Array(5).fill('request.refused'));
});

test('a name is used once in a tenant, and freely in another', async () => {
  const { adminKey: elsewhere } = await world.newTenant();
  const body = { kind: 'person', name: 'Ada', roles: [] };
  const first = await api.send('POST', '/v1/principals', { key: admin, body });
  expect(first.status).toBe(201);
  expect(await api.send('POST', '/v1/principals', { key: admin, body })).toMatchObject({
    status: 409,
    body: { code: 'ALREADY_EXISTS', existing: first.body.id },
  });
  expect((await api.send('POST', '/v1/principals', { key: elsewhere, body })).status).toBe(201);
});

test('the same key and body change once, the same key and another body is refused', async () => {
  const request = { key: admin, idempotencyKey: randomUUID(), body: person(['viewer']) };
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => api.send('POST', '/v1/principals', request)),
  );
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
  const other = { ...request, body: person(['viewer']) };
  expect(await api.send('POST', '/v1/principals', other)).toMatchObject({
    status: 422,
    body: { code: 'IDEMPOTENCY_MISMATCH' },
  });
  expect(
    (await auditActions()).filter((action) => action === 'access.principal-created'),
  ).toHaveLength(2);
});

test('another tenant’s ids answer exactly what unknown ids answer', async () => {
  const { adminKey: foreign } = await world.newTenant();
  const { principalId, keyId } = await issue(api, admin, { roles: ['viewer'] });
  const unknown = {
    principal: 'prn_00000000000000000000000000',
    key: 'key_00000000000000000000000000',
  };
  const ask = async (ids: { principal: string; key: string }) => {
    const answers = [
      await api.send('PUT', `/v1/principals/${ids.principal}/roles`, {
        key: foreign,
        body: { roles: [] },
      }),
      await api.send('POST', `/v1/api-keys/${ids.key}:revoke`, { key: foreign }),
      await api.send('POST', '/v1/api-keys', {
        key: foreign,
        body: { principalId: ids.principal, env: 'dev' },
      }),
      await api.send('GET', `/v1/api-keys?principalId=${ids.principal}`, { key: foreign }),
    ];
    return answers.map(({ status, body }) => ({ status, body: { ...body, requestId: '' } }));
  };
  const foreignAnswers = await ask({ principal: principalId, key: keyId });
  expect(foreignAnswers).toEqual(await ask(unknown));
  expect(foreignAnswers.map(({ status }) => status)).toEqual([404, 404, 404, 200]);
  const listed = await api.send('GET', '/v1/principals?limit=200', { key: foreign });
  expect((listed.body.items as unknown[]).length).toBe(1);
});

test('lists are newest first, page without gap or overlap, and refuse another list’s cursor', async () => {
  for (let i = 0; i < 5; i++) await issue(api, admin, { roles: [] });
  for (const list of ['/v1/principals', '/v1/api-keys']) {
    const ids: string[] = [];
    let cursor = '';
    do {
      const { body } = await api.send('GET', `${list}?limit=2${cursor}`, { key: admin });
      ids.push(...(body.items as { id: string }[]).map(({ id }) => id));
      cursor = body.nextCursor === undefined ? '' : `&cursor=${body.nextCursor as string}`;
    } while (cursor !== '');
    expect(ids).toHaveLength(6);
    expect(ids).toEqual([...new Set(ids)].sort().reverse());
  }
  const { body } = await api.send('GET', '/v1/principals?limit=2', { key: admin });
  const crossed = await api.send('GET', `/v1/api-keys?cursor=${body.nextCursor as string}`, {
    key: admin,
  });
  expect(crossed).toMatchObject({ status: 400, body: { code: 'CURSOR_INVALID' } });
});
