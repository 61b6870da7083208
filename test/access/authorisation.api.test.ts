import { roles, permissionsOf, type Role } from '../../src/domain/access/permissions.js';
import { allRoutes } from '../../src/main/routes.js';
import type { Route } from '../../src/api/route.js';
import { startTestApi, type TestApi, type TestCaller } from '../support/api.js';
import { seedEveryTable, type SeededIds } from '../support/seed-tenant.js';

// Every route × every role × own and foreign tenant. The routes are the registry itself, so that a new one is in here
// before anybody thinks of it.

const never = new Proxy({}, { get: () => never }) as Parameters<typeof allRoutes>[0];
const routes = allRoutes(never);
const nameOf = ({ spec }: Route): string => `${spec.method.toUpperCase()} ${spec.path}`;
/** Who a route asks for a key, and what it must hold. */
const keyed = routes.flatMap((route) => {
  const { permission } = route.spec;
  return permission === undefined ? [] : [[nameOf(route), route, permission] as const];
});

/** Every route that anybody may call; an addition is a decision. */
const publicRoutes = ['POST /v1/hooks/{sourceId}'];
/** A PUT to a name makes what is not there; a PUT below an id does not. */
const createsByName = (spec: Route['spec']): boolean =>
  spec.method === 'put' && !spec.path.includes('{id}');

/** A well-formed id of the same kind that nothing has. */
const unknownIds: SeededIds = {
  id: 'x',
  model: 'nobody-has-this',
  name: 'nobody-has-this',
  env: 'prod',
  version: '1',
};

function fill(path: string, ids: SeededIds): string {
  return path.replaceAll(/\{([^}]+)\}/g, (_, name: string) =>
    encodeURIComponent(ids[name] ?? unknownIds[name] ?? 'x'),
  );
}

/** Calls a route with the body of its example, so that it gets past the parser wherever the caller may. */
async function send(
  api: TestApi,
  caller: TestCaller,
  { route: { spec }, ids }: { route: Route; ids: SeededIds },
) {
  const path = fill(spec.path, ids);
  if (spec.upload !== undefined) {
    const form = new FormData();
    form.append('options', JSON.stringify(spec.example?.body ?? {}));
    form.append('file', new Blob(['a,b\n1,2\n']), 'x.csv');
    const response = await fetch(`${api.url}${path}`, {
      method: spec.method.toUpperCase(),
      headers: { authorization: `Bearer ${caller.key}`, 'idempotency-key': crypto.randomUUID() },
      body: form,
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }
  return api.call(
    caller.key,
    `${spec.method.toUpperCase()} ${path}`,
    spec.body === undefined ? undefined : (spec.example?.body ?? {}),
  );
}

describe('authorisation', () => {
  let api: TestApi;
  const callers = new Map<Role, TestCaller>();
  let foreign: Record<string, SeededIds>;

  beforeAll(async () => {
    api = await startTestApi();
    await api.createTenant('tenant-a');
    await api.createTenant('tenant-b');
    for (const role of roles) callers.set(role, await api.createCaller('tenant-a', [role]));
    foreign = await seedEveryTable(api.database, 'tenant-b');
  }, 120_000);
  afterAll(() => api.stop());

  const callerOf = (role: Role): TestCaller => {
    const caller = callers.get(role);
    if (caller === undefined) throw new Error(`no caller with role ${role}`);
    return caller;
  };

  it('asks everyone for a key except where a request proves itself by signature', () => {
    const open = routes.filter(({ spec }) => spec.permission === undefined);
    expect(open.map(nameOf)).toEqual(publicRoutes);
  });

  it.each(keyed)(
    '[D12] %s answers 403 exactly to the roles without its permission',
    async (_, route, permission) => {
      for (const role of roles) {
        const answer = await send(api, callerOf(role), { route, ids: unknownIds });
        const holds = permission === 'any' || permissionsOf([role], []).has(permission);
        expect({
          role,
          forbidden: answer.status === 403 && answer.body.permission === permission,
        }).toEqual({ role, forbidden: !holds });
        expect({ role, status: answer.status }).not.toEqual({ role, status: 401 });
        expect(answer.status).toBeLessThan(500);
      }
    },
    60_000,
  );

  it.each(keyed.filter(([, { spec }]) => spec.path.includes('{') && !createsByName(spec)))(
    '[I6] %s says the same of a foreign id as of one that nobody has, and changes nothing there',
    async (_, route, permission) => {
      const role = roles.find(
        (each) => permission === 'any' || permissionsOf([each], []).has(permission),
      );
      if (role === undefined) return;
      const noun = route.spec.operation.split('.')[0] ?? '';
      const before = await fingerprint(api, 'tenant-b');
      const theirs = await send(api, callerOf(role), {
        route,
        ids: { ...unknownIds, ...foreign[noun] },
      });
      const nobodys = await send(api, callerOf(role), {
        route,
        ids: {
          ...unknownIds,
          ...foreign.unknown,
          ...sameKind(foreign[noun]),
        },
      });
      expect({ status: theirs.status, code: theirs.body.code, detail: theirs.body.detail }).toEqual(
        {
          status: nobodys.status,
          code: nobodys.body.code,
          detail: nobodys.body.detail,
        },
      );
      expect(await fingerprint(api, 'tenant-b')).toEqual(before);
    },
    30_000,
  );

  it('[I6] lists of a tenant hold nothing of another', async () => {
    for (const { spec } of routes.filter(
      (route) => route.spec.method === 'get' && !route.spec.path.includes('{'),
    )) {
      for (const role of roles) {
        const { status, body } = await api.call(callerOf(role).key, `GET ${spec.path}`);
        if (status === 200) expect(JSON.stringify(body)).not.toContain('tenant-b');
      }
    }
  });

  it('refuses a request without a key, with a broken one and with one of a wrong secret alike', async () => {
    const { key } = callerOf('viewer');
    for (const wrong of ['', 'nonsense', `${key}x`, key.replace(/.{60}$/, 'a'.repeat(60))]) {
      const { status, body } = await api.call(wrong, 'GET /v1/models');
      expect([status, body.code]).toEqual([401, 'UNAUTHENTICATED']);
    }
  });
});

/** Ids of the same shape that nothing has: the last characters of each are changed. */
function sameKind(ids: SeededIds = {}): SeededIds {
  return Object.fromEntries(
    Object.entries(ids).map(([name, id]) => {
      if (name === 'env' || name === 'version' || name === 'rev') return [name, id];
      if (id.startsWith('sha256:')) return [name, `sha256:${'e'.repeat(64)}`];
      if (/^[0-9a-f]{8}-[0-9a-f]{4}-/.test(id)) return [name, `${id.slice(0, -4)}0000`];
      return [name, /^[a-z]{3}_/.test(id) ? `${id.slice(0, -4)}ZZZZ` : `${id}-none`];
    }),
  );
}

/** What a tenant's tables hold, without what grows by itself. */
async function fingerprint(api: TestApi, tenant: string): Promise<unknown> {
  const tables = await api.database.asSuperuser(
    `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'public' and c.relkind = 'r' and c.relname not in ('_prisma_migrations', 'admission_bucket', 'serving_lease', 'intent', 'audit_leaf') order by 1`,
  );
  const found: Record<string, unknown> = {};
  for (const { name } of tables) {
    const [row] = await api.database.asSuperuser(
      `select count(*)::int as n, md5(coalesce(string_agg(t::text, ',' order by t::text), '')) as hash from ${String(name)} t where tenant_id = $1`,
      [tenant],
    );
    found[String(name)] = row;
  }
  return found;
}
