import { randomUUID } from 'node:crypto';
import { connect, createServer } from 'node:net';
import {
  openRateLimits,
  type RateLimitOptions,
  type RateLimits,
} from '../../src/adapters/rate-limits/open-rate-limits.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/servers/free-port.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const opened: RateLimits[] = [];
afterEach(async () => {
  for (const limits of opened.splice(0)) await limits.close();
});

/** The limits of one process. */
function open(options: Partial<RateLimitOptions> & { limit?: number } = {}) {
  const { limit = 500, ...rest } = options;
  const leases = { store: 0, insurance: 0 };
  const limits = openRateLimits({
    url: database.urls.api,
    limits: { address: limit, key: limit, tenant: limit },
    failures: 3,
    replicas: 1,
    patienceMs: 30_000,
    onDown: () => undefined,
    onLease: (source) => void (leases[source] += 1),
    ...rest,
  });
  opened.push(limits);
  const take = async (id: string, control = false) =>
    (await limits.take({ scope: 'key', id, control })).allowed;
  const takeMany = async (id: string, count: number) =>
    (await Promise.all(Array.from({ length: count }, () => take(id)))).filter(Boolean).length;
  return { limits, leases, take, takeMany };
}

test('[D19] 2,000 requests at once over two processes: exactly the limit passes, for few leases', async () => {
  const id = randomUUID();
  const processes = [open(), open()];
  const given = await Promise.all(processes.map(({ takeMany }) => takeMany(id, 1_000)));
  expect((given[0] ?? 0) + (given[1] ?? 0)).toBe(500);
  // 20 leases give it all; each process asks once more to hear that there is nothing left.
  const leases = processes.reduce((sum, each) => sum + each.leases.store, 0);
  expect(leases).toBeLessThanOrEqual(22);
});

test('a limit that no slice divides is given to the last request, and no further', async () => {
  const id = randomUUID();
  const processes = [open({ limit: 107 }), open({ limit: 107 }), open({ limit: 107 })];
  const given = await Promise.all(processes.map(({ takeMany }) => takeMany(id, 200)));
  expect(given.reduce((sum, each) => sum + each, 0)).toBe(107);
});

test('a spent limit is remembered: refusals come from memory until the window ends, then requests pass', async () => {
  const id = randomUUID();
  const { limits, leases, take, takeMany } = open({ limit: 10, windowMs: 3_000 });
  expect(await takeMany(id, 50)).toBe(10);
  const before = leases.store;
  const verdict = limits.take({ scope: 'key', id, control: false });
  expect(verdict).toMatchObject({ allowed: false, limit: 10, windowMs: 3_000 });
  expect(leases.store).toBe(before);
  await eventually(async () => expect(await take(id)).toBe(true), { timeoutMs: 15_000 });
});

test('what was leased in a window is not spent in the next one', async () => {
  const id = randomUUID();
  const { leases, take, takeMany } = open({ limit: 200, windowMs: 3_000 });
  expect(await take(id)).toBe(true);
  await eventually(
    async () => {
      if (leases.store < 2) await take(id);
      expect(leases.store).toBe(2);
    },
    { timeoutMs: 15_000, everyMs: 300 },
  );
  expect(await takeMany(id, 400)).toBeLessThanOrEqual(199);
});

test('calls of the control plane have counts of their own', async () => {
  const id = randomUUID();
  const { take, takeMany } = open({ limit: 10 });
  expect(await takeMany(id, 20)).toBe(10);
  expect(await take(id, true)).toBe(true);
});

test('while the store does not answer a process gives its part of the limit, and no request waits long', async () => {
  const url = `postgresql://anneal_api@127.0.0.1:${await freePort()}/none`;
  const down: string[] = [];
  const onDown = (reason: string) => void down.push(reason);
  const { leases, takeMany } = open({ url, limit: 100, replicas: 4, patienceMs: 300, onDown });
  const since = performance.now();
  expect(await takeMany(randomUUID(), 200)).toBe(25);
  expect(performance.now() - since).toBeLessThan(5_000);
  expect(leases.store).toBe(0);
  expect(down).not.toEqual([]);
});

test('what came from the store is not there a second time when the store goes', async () => {
  const id = randomUUID();
  const { limits, takeMany } = open({ limit: 100, replicas: 1, patienceMs: 2_000 });
  expect(await takeMany(id, 60)).toBe(60);
  await database.asSuperuser('alter table admission_bucket rename to gone');
  try {
    expect(await takeMany(id, 100)).toBe(40);
    expect(limits.take({ scope: 'key', id, control: false })).toMatchObject({ allowed: false });
  } finally {
    await database.asSuperuser('alter table gone rename to admission_bucket');
  }
});

describe('failures', () => {
  const who = () => ({ scope: 'address' as const, id: randomUUID() });
  const failOften = async ({ limits }: ReturnType<typeof open>, of: ReturnType<typeof who>) => {
    for (let at = 0; at < 4; at += 1) await limits.fail(of);
    return limits.standing(of);
  };

  test('beyond their limit are refused on every process that meets them, before anybody is asked', async () => {
    const [one, other] = [open(), open()];
    const of = who();
    expect(one.limits.standing(of)).toEqual({ allowed: true });
    expect(await failOften(one, of)).toMatchObject({ allowed: false, limit: 3 });
    expect(other.limits.standing(of)).toEqual({ allowed: true });
    expect(await other.limits.fail(of)).toMatchObject({ allowed: false });
    expect(other.limits.standing(of)).toMatchObject({ allowed: false });
  });

  test('are refused for twice as long each time', async () => {
    const process = open({ windowMs: 1_000 });
    const of = who();
    const waits: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const verdict = await failOften(process, of);
      if (verdict.allowed) throw new Error('let through');
      waits.push(verdict.waitMs);
      await eventually(() => expect(process.limits.standing(of)).toEqual({ allowed: true }), {
        timeoutMs: 15_000,
      });
    }
    expect(waits[0]).toBeLessThanOrEqual(1_000);
    expect(waits[1]).toBeGreaterThan(1_000);
    expect(waits[1]).toBeLessThanOrEqual(2_000);
    expect(waits[2]).toBeGreaterThan(2_000);
  });

  test('are counted by each process alone while the store does not answer', async () => {
    const url = `postgresql://anneal_api@127.0.0.1:${await freePort()}/none`;
    const process = open({ url, patienceMs: 300 });
    expect(await failOften(process, who())).toMatchObject({ allowed: false });
  });
});

test('a limit of 0 is none', async () => {
  const { leases, takeMany, limits } = open({ limit: 0, failures: 0 });
  expect(await takeMany(randomUUID(), 1_000)).toBe(1_000);
  const of = { scope: 'key' as const, id: randomUUID() };
  for (let at = 0; at < 10; at += 1) expect(await limits.fail(of)).toEqual({ allowed: true });
  expect(leases).toEqual({ store: 0, insurance: 0 });
});

test('what is counted stands in the store as hashes alone', async () => {
  const { take, limits } = open();
  await take('key_CANARY');
  await limits.fail({ scope: 'address', id: '203.0.113.77' });
  const rows = await database.asSuperuser('select key, points from admission_bucket');
  expect(rows.length).toBeGreaterThan(1);
  expect(JSON.stringify(rows)).not.toMatch(/CANARY|203\.0\.113/);
});

test('a limiter that does not deny does not start', async () => {
  const { limits } = open();
  await limits.selfTest();
  await database.asSuperuser(`create function forget() returns trigger language plpgsql as
    $$ begin new.points := 0; return new; end $$`);
  await database.asSuperuser(
    `create trigger forget before insert or update on admission_bucket for each row execute function forget()`,
  );
  await expect(open().limits.selfTest()).rejects.toThrow(/let 3 of 2 requests through/);
  await database.asSuperuser('drop trigger forget on admission_bucket');
  await open().limits.selfTest();
});

test('a store that takes connections and never answers costs a request no more than its patience', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  const { port } = silent.address() as { port: number };
  // The server does listen: what follows is no refused connection.
  await new Promise<void>((resolve) =>
    connect(port, '127.0.0.1')
      .end()
      .once('close', () => resolve()),
  );
  const url = `postgresql://anneal_api@127.0.0.1:${port}/none`;
  const { takeMany } = open({ url, limit: 40, patienceMs: 200 });
  const since = performance.now();
  expect(await takeMany(randomUUID(), 100)).toBe(40);
  expect(performance.now() - since).toBeLessThan(5_000);
  silent.close();
});
