import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createCheckpointLoop,
  createSealerLoop,
  createVerifyAudit,
  type CheckpointDeps,
} from '../../src/activities/audit/index.js';
import { createCheckpointFile } from '../../src/adapters/checkpoint-file/checkpoint-file.js';
import { createAuditStore } from '../../src/adapters/postgres/audit.js';
import { createTenantStore } from '../../src/adapters/postgres/access-tenants.js';
import { Secret } from '../../src/domain/secrets.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';

let database: TestDatabase;
let folder: string;
let count = 0;
let stop: AbortController;
let running: Promise<void>[];

beforeAll(async () => {
  database = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'anneal-loops-'));
});
beforeEach(() => {
  stop = new AbortController();
  running = [];
});
afterEach(async () => {
  stop.abort();
  await Promise.all(running);
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

const silent = { warn: () => undefined, error: () => undefined };
const store = () => createAuditStore(database.worker);

async function newTenant(): Promise<string> {
  const tenant = `loop-${++count}`;
  const pepper = { version: 1, key: new Secret(new Uint8Array(32)) };
  await createTenantStore(database.api).bootstrap({
    tenant,
    title: tenant,
    policies: [],
    admin: { name: 'admin', roles: ['tenant-admin'], env: 'dev', pepper },
  });
  return tenant;
}

async function addLeaves(tenant: string, from: number, to: number): Promise<void> {
  await database.worker.withTenant(
    tenant,
    (tx) => tx.$executeRaw`insert into audit_leaf (tenant_id, leaf_id, kind, digest)
      select ${tenant}, 'lef_' || n, 'decision', sha256(n::text::bytea)
      from generate_series(${from}::int, ${to}::int) n`,
  );
}
const append = (tenant: string, n: number) =>
  store().recordRefusal(
    { tenant, actor: { subject: 'x', kind: 'system', roles: [], via: 'test' } },
    { action: 'test.done', resource: { type: 'thing', id: `${n}` } },
  );
const verify = (tenant: string, path: string) =>
  createVerifyAudit({
    ...createAuditStore(database.api),
    readCheckpoints: createCheckpointFile(path).read,
  })(tenant, stop.signal);

test('open leaves of every tenant are sealed, also with several sealers at work, each leaf once', async () => {
  const tenants = [await newTenant(), await newTenant()];
  for (const tenant of tenants) await addLeaves(tenant, 1, 2_500);
  const sealers = [1, 2, 3].map(() =>
    createSealerLoop({ ...store(), log: silent, intervalMs: 20 }),
  );
  running = sealers.map((sealer) => sealer.run(stop.signal));
  for (const tenant of tenants) {
    await eventually(async () => {
      const verdict = await verify(tenant, join(folder, 'none'));
      expect(verdict).toMatchObject({ status: 'intact', leaves: 2_500 });
    });
    const seals = await createAuditStore(database.api).listEntries(
      tenant,
      { action: 'audit.sealed' },
      { limit: 100, before: undefined },
    );
    const counts = seals.map(
      ({ entry }) => (JSON.parse(entry) as { after: { count: number } }).after.count,
    );
    expect(counts.reduce((sum, n) => sum + n, 0)).toBe(2_500);
  }
  expect(await store().tenantsToSeal()).toEqual([]);
  expect(sealers.every((sealer) => sealer.healthy())).toBe(true);
}, 30_000);

test('a sealer that cannot reach the store says so, and seals again when it can', async () => {
  const tenant = await newTenant();
  await addLeaves(tenant, 1, 3);
  let down = true;
  const sealer = createSealerLoop({
    ...store(),
    tenantsToSeal: async () => {
      if (down) throw new Error('down');
      return store().tenantsToSeal();
    },
    log: silent,
    intervalMs: 10,
  });
  running = [sealer.run(stop.signal)];
  await eventually(() => expect(sealer.healthy()).toBe(false));
  down = false;
  await eventually(async () => expect((await verify(tenant, join(folder, 'none'))).leaves).toBe(3));
  expect(sealer.healthy()).toBe(true);
});

function checkpointLoop(path: string, more: Partial<CheckpointDeps> = {}) {
  const file = createCheckpointFile(path);
  const loop = createCheckpointLoop({
    ...store(),
    readCheckpoints: file.read,
    appendCheckpoints: file.append,
    origin: 'test',
    nowMs: Date.now,
    log: silent,
    intervalMs: 10,
    ...more,
  });
  running.push(loop.run(stop.signal));
  return { file, loop };
}

test('a chain gets a checkpoint after so many entries or so long, and none while it does not grow', async () => {
  const tenant = await newTenant();
  const path = join(folder, 'due', 'checkpoints');
  const clock = { ms: 1_000_000 };
  const { file } = checkpointLoop(path, { nowMs: () => clock.ms, maxEntries: 5, maxAgeMs: 60_000 });
  const sizes = async () =>
    (await file.read()).filter((line) => line.tenant === tenant).map(({ size }) => size);
  await eventually(async () => expect(await sizes()).toEqual([3]));
  for (let n = 0; n < 4; n++) await append(tenant, n);
  // Another tenant's first checkpoint shows that sweeps went on meanwhile.
  const other = await newTenant();
  await eventually(async () => {
    expect((await file.read()).some((line) => line.tenant === other)).toBe(true);
  });
  expect(await sizes()).toEqual([3]);
  await append(tenant, 4);
  await eventually(async () => expect(await sizes()).toEqual([3, 8]));
  await append(tenant, 5);
  clock.ms += 60_000;
  await eventually(async () => expect(await sizes()).toEqual([3, 8, 9]));
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await verify(tenant, path)).toMatchObject({
    status: 'intact',
    checkpoints: 3,
    witnessedTo: 9,
  });
});

test('a chain that contradicts its last checkpoint gets no new one, and the loop is unhealthy', async () => {
  const tenant = await newTenant();
  const path = join(folder, 'contradicted');
  const file = createCheckpointFile(path);
  const at = new Date(0).toISOString();
  await file.append([{ origin: 'test', tenant, size: 2, headHash: '0'.repeat(64), at }]);
  const { loop } = checkpointLoop(path);
  await eventually(() => expect(loop.healthy()).toBe(false));
  expect((await file.read()).filter((line) => line.tenant === tenant)).toHaveLength(1);
  expect((await verify(tenant, path)).fault).toMatchObject({ seq: 2, kind: 'fork' });
});

test('a sink that cannot be written makes the loop unhealthy and its lag grow', async () => {
  await newTenant();
  let ms = 0;
  const { loop } = checkpointLoop(join(folder, 'sink'), {
    appendCheckpoints: () => Promise.reject(new Error('disk full')),
    nowMs: () => (ms += 1_000_000),
  });
  await eventually(() => expect(loop.healthy()).toBe(false));
  expect(loop.lagMs()).toBeGreaterThan(300_000);
});

test('a line torn by a crash is passed over, and the next checkpoint stands on a line of its own', async () => {
  const path = join(folder, 'torn');
  const file = createCheckpointFile(path);
  const one = { origin: 'o', tenant: 't', size: 1, headHash: 'a'.repeat(64), at: 'now' };
  await file.append([one]);
  await appendFile(path, '{"v":1,"origin":"o","ten');
  await file.append([{ ...one, size: 2 }]);
  expect((await file.read()).map(({ size }) => size)).toEqual([1, 2]);
  expect((await readFile(path, 'utf8')).endsWith('}\n')).toBe(true);
});
