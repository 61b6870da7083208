import { randomBytes, randomUUID } from 'node:crypto';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import pg from 'pg';
import { formatApiKey } from '../../src/domain/access/api-key.js';
import { eventually } from '../support/eventually.js';
import { startTestApi, type TestApi } from '../support/api.js';
import { stall } from './stall.js';

const KEY_LIMIT = 60;
const FAILURES = 5;

let api: TestApi;
let tenant: string;
beforeAll(async () => {
  api = await startTestApi(undefined, {
    ANNEAL_RATE_KEY_PER_MINUTE: String(KEY_LIMIT),
    ANNEAL_RATE_TENANT_PER_MINUTE: '0',
    ANNEAL_RATE_ADDRESS_PER_MINUTE: '0',
    ANNEAL_RATE_FAILURES_PER_MINUTE: String(FAILURES),
    ANNEAL_API_INFLIGHT_COUNT: '8',
  });
});
beforeEach(async () => {
  tenant = `t-${randomUUID().slice(0, 8)}`;
  await api.createTenant(tenant);
});
afterAll(() => api.stop());

interface Answered {
  status: number;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
  afterMs: number;
}

/** One request; `from` is the loopback address that it comes from. */
function ask(key: string, path: string, from = '127.0.0.1'): Promise<Answered> {
  const since = performance.now();
  return new Promise((resolve, reject) => {
    const options = {
      headers: key === '' ? {} : { authorization: `Bearer ${key}` },
      localAddress: from,
      agent: false,
    };
    const sent = httpRequest(`${api.url}${path}`, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>,
          afterMs: performance.now() - since,
        }),
      );
    });
    sent.on('error', reject).end();
  });
}

/** Sends requests until one is refused. */
async function exhaust(key: string): Promise<Answered> {
  for (let at = 0; at <= KEY_LIMIT; at += 1) {
    const answered = await ask(key, '/v1/me');
    if (answered.status !== 200) return answered;
  }
  throw new Error('never refused');
}

const auditOf = (): Promise<Record<string, unknown>[]> =>
  api.database.asSuperuser(
    `select entry from audit_entry where tenant_id = $1 and entry::text like '%request.refused%'`,
    [tenant],
  );

describe('a key beyond its requests a minute', () => {
  test('[D19] hears 429 with the time to come back and the limit; others of its tenant hear nothing of it', async () => {
    const { key } = await api.createCaller(tenant, ['viewer']);
    const { key: other } = await api.createCaller(tenant, ['viewer']);
    const refused = await exhaust(key);
    expect(refused).toMatchObject({
      status: 429,
      body: { code: 'RATE_LIMITED', limit: 'key' },
      headers: { 'ratelimit-policy': `"key";q=${KEY_LIMIT};w=60` },
    });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(refused.headers.ratelimit).toBe(`"key";r=0;t=${refused.headers['retry-after']}`);
    expect(refused.headers['x-should-retry']).toBe('true');
    expect((await ask(other, '/v1/me')).status).toBe(200);
  });

  test('is refused before its permissions are looked at and before its body is read, and leaves no audit entry', async () => {
    const { key } = await api.createCaller(tenant, ['viewer']);
    await exhaust(key);
    // No permission for it, and a body that never comes: neither is looked at.
    const head = [
      'POST /v1/feedback HTTP/1.1',
      'Host: 127.0.0.1',
      `Authorization: Bearer ${key}`,
      'Content-Type: application/json',
      'Content-Length: 200000',
      '',
      '',
    ].join('\r\n');
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1', () => socket.write(head));
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
    });
    expect(answer).toMatch(/^HTTP\/1.1 429/);
    expect(answer).toMatch(/^Connection: close\r$/m);
    expect(await auditOf()).toEqual([]);
    // The same request of a key that may still ask is refused for what it is, and audited.
    const { key: fresh } = await api.createCaller(tenant, ['viewer']);
    const forbidden = await api.call(fresh, 'POST /v1/feedback', {});
    expect(forbidden.status).toBe(403);
    expect(await auditOf()).toHaveLength(1);
  });

  test('[D11] sets a kill switch all the same', async () => {
    const { key } = await api.createCaller(tenant, ['operator']);
    await exhaust(key);
    const killed = await api.call(key, 'POST /v1/kill-switches', killOf());
    expect(killed.status).toBe(201);
  });
});

const killOf = () => ({ scope: { level: 'tenant' }, mode: 'fail_closed', reason: 'a drill' });

describe('whoever fails to prove who it is', () => {
  /** Another secret under this key's id, with a checksum that fits. */
  const guessAt = (key: string): string =>
    formatApiKey('prod', `key_${key.split('_')[2] ?? ''}`, randomBytes(32));

  test('hears 429 after too many guesses at one key id, and the holder of the key goes on', async () => {
    const { key } = await api.createCaller(tenant, ['viewer']);
    const guess = guessAt(key);
    const statuses: number[] = [];
    for (let at = 0; at < 8; at += 1)
      statuses.push(
        (await ask(guess, '/v1/me', at % 2 === 0 ? '127.0.0.11' : '127.0.0.12')).status,
      );
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
    for (const from of ['127.0.0.1', '127.0.0.11'])
      expect((await ask(key, '/v1/me', from)).status).toBe(200);
  });

  test('too often from one address is refused with everything from there, and nobody else is', async () => {
    const { key } = await api.createCaller(tenant, ['viewer']);
    for (let at = 0; at <= FAILURES; at += 1)
      expect((await ask('nonsense', '/v1/me', '127.0.0.21')).status).toBe(401);
    const refused = await ask(key, '/v1/me', '127.0.0.21');
    expect(refused).toMatchObject({ status: 429, body: { limit: 'failures' } });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(30);
    expect((await ask(key, '/v1/me', '127.0.0.22')).status).toBe(200);
  });

  test('without any key has guessed nothing, and hears that it needs one', async () => {
    for (let at = 0; at < FAILURES * 2; at += 1)
      expect((await ask('', '/v1/me', '127.0.0.31')).status).toBe(401);
  });
});

describe('a process that is full', () => {
  /** Eight reads that wait for a lock, until `release`. */
  async function fill(key: string) {
    const locker = new pg.Client({ connectionString: api.database.adminUrl });
    await locker.connect();
    await locker.query('begin');
    await locker.query('lock table registered_model in access exclusive mode');
    const held = Array.from({ length: 8 }, () => ask(key, '/v1/models'));
    await eventually(async () => {
      const { rows } = await locker.query<{ n: number }>(
        `select count(*)::int as n from pg_locks where relation = 'registered_model'::regclass and not granted`,
      );
      expect(rows[0]?.n).toBe(8);
    });
    return async () => {
      await locker.query('rollback');
      await locker.end();
      return Promise.all(held);
    };
  }

  test('refuses the rest at once with 503, keeps the control plane open, and answers what it took', async () => {
    const { key } = await api.createCaller(tenant, ['viewer', 'operator']);
    const release = await fill(key);
    const refused = await ask(key, '/v1/me');
    expect(refused).toMatchObject({
      status: 503,
      body: { code: 'OVERLOADED', limit: 'concurrency' },
      headers: { 'ratelimit-policy': '"concurrency";q=8;qu="concurrent-requests"' },
    });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(refused.afterMs).toBeLessThan(1_000);
    const killed = await api.call(key, 'POST /v1/kill-switches', killOf());
    expect(killed.status).toBe(201);
    const answered = await release();
    expect(answered.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
    expect((await ask(key, '/v1/me')).status).toBe(200);
    expect(await auditOf()).toEqual([]);
  });

  test('refuses a request whose body comes only then, which had no place until it came', async () => {
    const { key } = await api.createCaller(tenant, ['viewer', 'service']);
    const path = '/v1/collections/col_00000000000000000000000000:query';
    const late = stall(api.url, { key, path, bytes: 2 });
    const streams = async (count: number) =>
      expect(await api.parts.metrics.registry.metrics()).toContain(
        `\nanneal_admission_streams ${count}\n`,
      );
    await eventually(() => streams(1));
    const release = await fill(key);
    late.socket.write('{}');
    await eventually(() => expect(late.answer()).toMatch(/^HTTP\/1.1 503/));
    expect(late.answer()).toContain('"limit":"concurrency"');
    await eventually(() => streams(0));
    late.socket.destroy();
    expect((await release()).map(({ status }) => status)).toEqual(
      Array.from({ length: 8 }, () => 200),
    );
  });

  test('counts each refusal by class and reason, and shows its limit and what is at work', async () => {
    const { key } = await api.createCaller(tenant, ['viewer']);
    const release = await fill(key);
    await ask(key, '/v1/me');
    await eventually(async () => {
      const text = await api.parts.metrics.registry.metrics();
      expect(text).toMatch(/anneal_shed_total\{class="interactive",reason="concurrency"\} [1-9]/);
      expect(text).toMatch(/anneal_admission_permits\{class="interactive"\} 8/);
      expect(text).toMatch(/anneal_admission_limit 8/);
      expect(text).toMatch(/anneal_rate_leases_total\{source="store"\} [1-9]/);
    });
    await release();
  });
});
