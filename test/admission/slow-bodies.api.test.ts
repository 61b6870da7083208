import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { startTestApi, type TestApi } from '../support/api.js';
import { eventually } from '../support/eventually.js';
import { stall, type Stalled } from './stall.js';

// Callers who announce a body and send none of it, over sockets of their own, against the limits as they are.

let api: TestApi;
let attacker: string;
let victim: string;
const open: Socket[] = [];
beforeAll(async () => {
  api = await startTestApi(undefined, {
    ANNEAL_RATE_KEY_PER_MINUTE: '0',
    ANNEAL_RATE_TENANT_PER_MINUTE: '0',
    ANNEAL_RATE_ADDRESS_PER_MINUTE: '0',
  });
});
beforeEach(async () => {
  [attacker, victim] = ['a', 'v'].map((name) => `${name}-${randomUUID().slice(0, 8)}`) as [
    string,
    string,
  ];
  for (const tenant of [attacker, victim]) await api.createTenant(tenant);
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await eventually(async () => expect(await shown('streams')).toBe(0));
});
afterAll(() => api.stop());

const kill = JSON.stringify({
  scope: { level: 'tenant' },
  mode: 'fail_closed',
  reason: 'a drill',
});

function stalled(key: string, path: string): Stalled {
  const request = stall(api.url, { key, path, bytes: kill.length });
  open.push(request.socket);
  return request;
}

/** What the metrics show: `streams`, or the requests of a class at work. */
async function shown(what: 'streams' | 'control' | 'interactive'): Promise<number> {
  const text = await api.parts.metrics.registry.metrics();
  const name = what === 'streams' ? 'streams' : `permits\\{class="${what}"\\}`;
  return Number(new RegExp(`^anneal_admission_${name} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
}

/** Stalls so many requests of one key; so many of them are let in, the others hear 503 at once. */
async function flood(key: string, path: string, of: { count: number; held: number }) {
  const requests = Array.from({ length: of.count }, () => stalled(key, path));
  await eventually(async () => {
    const answers = requests.map(({ answer }) => answer()).filter((answer) => answer !== '');
    expect(answers).toHaveLength(of.count - of.held);
    for (const answer of answers) {
      expect(answer).toMatch(/^HTTP\/1.1 503/);
      expect(answer).toContain('"limit":"streams"');
      expect(answer).toMatch(/^Retry-After: \d+\r$/m);
    }
    expect(await shown('streams')).toBe(of.held);
  });
}

test('[D11] a kill switch of another tenant is set while one caller stalls 200 bodies of the control plane', async () => {
  const { key: slow } = await api.createCaller(attacker, ['operator']);
  const { key: neighbour } = await api.createCaller(attacker, ['operator']);
  const { key } = await api.createCaller(victim, ['operator', 'viewer']);
  await flood(slow, '/v1/kill-switches', { count: 200, held: 16 });
  expect(await shown('control')).toBe(0);
  expect((await api.call(key, 'POST /v1/kill-switches', JSON.parse(kill))).status).toBe(201);
  expect((await api.call(neighbour, 'POST /v1/kill-switches', JSON.parse(kill))).status).toBe(201);
  expect((await api.call(key, 'GET /v1/models')).status).toBe(200);
  // One whose body comes later finds a place as well, and is worked on once it is there.
  const late = stalled(key, '/v1/kill-switches');
  await eventually(async () => expect(await shown('streams')).toBe(17));
  late.socket.write(kill);
  await eventually(() => expect(late.answer()).toMatch(/^HTTP\/1.1 201/));
});

test('reads are answered, and other queries taken, while one caller stalls 300 bodies of queries', async () => {
  const { key: slow } = await api.createCaller(attacker, ['service']);
  const { key } = await api.createCaller(victim, ['service', 'viewer']);
  const path = '/v1/collections/col_00000000000000000000000000:query';
  await flood(slow, path, { count: 300, held: 64 });
  expect(await shown('interactive')).toBe(0);
  expect((await api.call(key, 'GET /v1/models')).status).toBe(200);
  const query = { query: 'anything', purpose: 'search' };
  expect((await api.call(key, `POST ${path}`, query)).status).not.toBe(503);
  expect((await api.call(slow, 'GET /v1/me')).status).toBe(200);
});
