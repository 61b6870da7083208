import { randomUUID } from 'node:crypto';
import { ProviderFailure } from '../../src/domain/inference/runtime.js';
import { eventually } from '../support/eventually.js';
import {
  aPurpose,
  aRow,
  createInferenceWorld,
  probabilityOf,
  type InferenceWorld,
} from './inference-world.js';

let world: InferenceWorld;
let workers: { stop: () => Promise<void> };
beforeAll(async () => {
  world = await createInferenceWorld();
  workers = await world.startWorkers();
}, 60_000);
afterAll(async () => {
  await workers.stop();
  await world.close();
}, 60_000);
afterEach(() => world.faults.clear());

const count = async (tenant: string, table: 'decision' | 'inference' | 'audit_leaf') => {
  const [row] = await world.database.asSuperuser(
    `select count(*)::int as n from ${table} where tenant_id = $1`,
    [tenant],
  );
  return Number(row?.n);
};

describe('POST /v1/inferences', () => {
  it('answers with the active version’s own probability, its digest, epoch arm and one decision row', async () => {
    const tenant = await world.newTenant();
    const answer = await world.ask(tenant, { body: { subject: { key: 'customer-1' } } });
    expect(answer.status).toBe(200);
    const { output } = answer.body;
    expect(Math.abs((output?.probability ?? 0) - probabilityOf(2, aRow))).toBeLessThan(1e-5);
    expect(answer.body).toMatchObject({
      status: 'SUCCEEDED',
      model: { name: 'tint', version: 2, digest: world.digests[1] },
      arm: 'active',
      attempts: [{ n: 1, candidate: 'v2', class: 'ok' }],
      warnings: [],
    });
    const [row] = await world.database.asSuperuser('select * from decision where tenant_id = $1', [
      tenant,
    ]);
    expect(row).toMatchObject({
      decision_id: answer.body.id,
      state: 'SUCCEEDED',
      routing_epoch: 3,
      version: 2,
      purpose: aPurpose,
      fallback: null,
      cost_micro_usd: null,
      flags: [],
    });
    expect(row?.subject_token).toMatch(/^p1_[a-z2-7]{26}$/);
    expect(await count(tenant, 'decision')).toBe(1);
    expect(await count(tenant, 'audit_leaf')).toBe(1);
  });

  it('stores inputs and outputs sealed: no value of them is in any row, and none in the workflow', async () => {
    const tenant = await world.newTenant();
    const size = 1.234567890123;
    const answer = await world.ask(tenant, {
      body: { inputs: { ...aRow, size }, subject: { key: 'canary-subject' } },
    });
    const [row] = await world.database.asSuperuser(
      `select i::text || d::text || t::text as everything from inference i join decision d on d.decision_id = i.inference_id
       join intent t on t.workflow_id = i.workflow_id where i.tenant_id = $1`,
      [tenant],
    );
    expect(row?.everything).not.toContain('1.234567');
    expect(row?.everything).not.toContain('canary-subject');
    const handle = world.temporal.client.workflow.getHandle(String(answer.body.workflowId));
    const history = JSON.stringify(await handle.fetchHistory());
    expect(history).not.toContain('canary-subject');
  });

  it('runs on the local fast path: six history events', async () => {
    const tenant = await world.newTenant();
    const answer = await world.ask(tenant);
    const handle = world.temporal.client.workflow.getHandle(String(answer.body.workflowId));
    await handle.result();
    const history = await handle.fetchHistory();
    expect(history.events).toHaveLength(6);
  });

  it('names every one of ten violations by pointer in one answer, and admits nothing', async () => {
    const tenant = await world.newTenant();
    const inputs = {
      size: 11,
      count: 'two',
      colour: 'mauve',
      member: 'yes',
      a: 1,
      b: 1,
      c: 1,
      d: 1,
      e: 1,
      'f/g': 1,
    };
    const answer = await world.ask(tenant, { body: { inputs } });
    expect(answer.status).toBe(422);
    expect(answer.body.code).toBe('CONTRACT_VIOLATION');
    expect(answer.body.errors?.map(({ pointer, code }) => `${pointer} ${code}`)).toEqual([
      '/inputs/size max',
      '/inputs/count type',
      '/inputs/colour enum',
      '/inputs/member type',
      ...['a', 'b', 'c', 'd', 'e', 'f~1g'].map((name) => `/inputs/${name} unknown_field`),
    ]);
    expect(JSON.stringify(answer.body)).not.toContain('mauve');
    expect(await count(tenant, 'inference')).toBe(0);
  });

  it('applies an imputation, stores it and says so', async () => {
    const tenant = await world.newTenant();
    const { size, count: n, colour } = aRow;
    const inputs = { size, count: n, colour };
    const answer = await world.ask(tenant, { body: { inputs } });
    expect(answer.body.warnings).toMatchObject([{ pointer: '/inputs/member', code: 'imputed' }]);
    expect(answer.body.output?.probability).toBeCloseTo(probabilityOf(2, aRow), 5);
  });

  it.each([
    [{ purpose: undefined }, 422, 'PURPOSE_REQUIRED'],
    [{ purpose: 'marketing' }, 403, 'PURPOSE_DENIED'],
    [{ model: 'nothing' }, 404, 'MODEL_NOT_FOUND'],
    [{ model: 'tint@v9' }, 404, 'NO_ACTIVE_VERSION'],
  ])('refuses %j with %s %s', async (body, status, code) => {
    const answer = await world.ask(await world.newTenant(), { body });
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });

  it('refuses every field it does not honour by its pointer, instead of dropping it', async () => {
    const tenant = await world.newTenant();
    const answer = await world.ask(tenant, {
      body: {
        model: 'tint@latest',
        messages: [],
        callback: 'whk_1',
        lane: 'interactive',
        explain: 'top_k',
        subject: { key: 'x', jurisdiction: 'EU' },
        unheardOf: 1,
      },
    });
    expect(answer.status).toBe(400);
    expect(answer.body.errors?.map(({ pointer }) => pointer).sort()).toEqual([
      '/callback',
      '/explain',
      '/lane',
      '/messages',
      '/model',
      '/subject/jurisdiction',
      '/unheardOf',
    ]);
    const { status } = await world.send(
      { tenant },
      {
        path: '/v1/inferences',
        body: { model: 'tint', inputs: aRow },
        headers: { 'anneal-consent': 'c1' },
      },
    );
    expect(status).toBe(400);
  });

  it('answers 50 equal requests with one key by one inference', async () => {
    const tenant = await world.newTenant();
    const key = randomUUID();
    const answers = await Promise.all(Array.from({ length: 50 }, () => world.ask(tenant, { key })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(await count(tenant, 'inference')).toBe(1);
    expect(await count(tenant, 'decision')).toBe(1);
    const replay = await world.ask(tenant, { key });
    expect(replay.status).toBe(200);
    expect(replay.headers.get('idempotent-replayed')).toBe('true');
    expect(replay.body.id).toBe(answers[0]?.body.id);
  });

  it('refuses another body under the key, and keeps tenants and callers apart', async () => {
    const [tenant, other] = [await world.newTenant(), await world.newTenant()];
    const key = randomUUID();
    const first = await world.ask(tenant, { key });
    const changed = await world.ask(tenant, { key, body: { inputs: { ...aRow, count: 3 } } });
    expect([changed.status, changed.body.code]).toEqual([422, 'IDEMPOTENCY_MISMATCH']);
    const elsewhere = await world.ask(other, { key });
    expect(elsewhere.status).toBe(200);
    expect(elsewhere.body.id).not.toBe(first.body.id);
    const path = `/v1/inferences/${first.body.id}`;
    expect((await world.send({ tenant }, { path })).status).toBe(200);
    expect((await world.send({ tenant: other }, { path })).status).toBe(404);
    expect((await world.send({ tenant, subject: 'prn_b' }, { path })).status).toBe(404);
  });

  it('replays what was admitted although a kill would refuse it today', async () => {
    const tenant = await world.newTenant();
    const key = randomUUID();
    const first = await world.ask(tenant, { key });
    await world.database.asSuperuser('update routing set kill = $2 where tenant_id = $1', [
      tenant,
      JSON.stringify(killColumn('fail_closed')),
    ]);
    const replay = await world.ask(tenant, { key });
    expect([replay.status, replay.body.id]).toEqual([200, first.body.id]);
    const fresh = await world.ask(tenant);
    expect([fresh.status, fresh.body.code]).toEqual([503, 'KILLED']);
    expect(fresh.headers.get('x-should-retry')).toBe('false');
  });

  it('lets the previous version answer under a kill that falls back, and says so', async () => {
    const tenant = await world.newTenant();
    await world.database.asSuperuser('update routing set kill = $2 where tenant_id = $1', [
      tenant,
      JSON.stringify(killColumn('fallback')),
    ]);
    const answer = await world.ask(tenant);
    expect(answer.body).toMatchObject({
      status: 'SUCCEEDED',
      model: { version: 1, digest: world.digests[0] },
      arm: 'active',
      fallback: { used: true, kind: 'previous', reason: 'killed' },
    });
  });

  it('falls back to the previous version when the active one keeps failing', async () => {
    const tenant = await world.newTenant();
    world.faults.set(world.digests[1] ?? 'sha256:', () =>
      Promise.reject(new ProviderFailure('server', 'planted')),
    );
    const answer = await world.ask(tenant);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      model: { version: 1 },
      fallback: { used: true, kind: 'previous', reason: 'server' },
      attempts: [
        { n: 1, candidate: 'v2', class: 'server' },
        { n: 2, candidate: 'v2', class: 'server' },
        { n: 3, candidate: 'v1', class: 'ok' },
      ],
    });
    expect(answer.body.output?.probability).toBeCloseTo(probabilityOf(1, aRow), 5);
    expect(await count(tenant, 'decision')).toBe(1);
  });

  it('ends as ALL_ATTEMPTS_FAILED with its attempts, one decision row and a failed workflow', async () => {
    const tenant = await world.newTenant();
    for (const digest of world.digests)
      world.faults.set(digest, () => Promise.reject(new ProviderFailure('server', 'secret text')));
    const answer = await world.ask(tenant);
    expect([answer.status, answer.body.code]).toEqual([502, 'ALL_ATTEMPTS_FAILED']);
    expect(answer.body.attempts).toHaveLength(4);
    expect(JSON.stringify(answer.body)).not.toContain('secret text');
    expect(await count(tenant, 'decision')).toBe(1);
    const [row] = await world.database.asSuperuser(
      'select workflow_id from inference where tenant_id = $1',
      [tenant],
    );
    const handle = world.temporal.client.workflow.getHandle(String(row?.workflow_id));
    await expect(handle.result()).rejects.toMatchObject({
      cause: { type: 'ALL_ATTEMPTS_FAILED' },
    });
  });

  it('a hanging call ends at its timeout and the answer still comes', async () => {
    const tenant = await world.newTenant();
    let hangs = 0;
    world.faults.set(world.digests[1] ?? 'sha256:', (next, signal) => {
      if (hangs++ > 0) return next();
      return new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      );
    });
    const answer = await world.ask(tenant);
    expect(answer.body).toMatchObject({
      status: 'SUCCEEDED',
      model: { version: 2 },
      attempts: [{ class: 'timeout' }, { class: 'ok' }],
    });
  }, 20_000);

  it('an answer outside the output contract is asked for once more, then 502', async () => {
    const tenant = await world.newTenant();
    await world.database.asSuperuser('update routing set previous = null where tenant_id = $1', [
      tenant,
    ]);
    world.faults.set(world.digests[1] ?? 'sha256:', async (next) => ({
      ...(await next()),
      probabilities: [1.5],
    }));
    const answer = await world.ask(tenant);
    expect([answer.status, answer.body.code]).toEqual([502, 'OUTPUT_CONTRACT_VIOLATION']);
    expect(answer.body.attempts).toMatchObject([
      { class: 'invalid_output' },
      { class: 'invalid_output' },
    ]);
  });

  it('admits nothing under an epoch that a rollback has refused: it resolves again', async () => {
    const tenant = await world.newTenant();
    const before = await world.admitFrozen(tenant);
    await world.database.asSuperuser(
      `update routing set epoch = 4, min_epoch = 4, active = 1, previous = null where tenant_id = $1`,
      [tenant],
    );
    const after = await world.admitFrozen(tenant);
    const rows = await world.database.asSuperuser(
      'select inference_id, version, routing_epoch from inference where tenant_id = $1 order by 1',
      [tenant],
    );
    expect(rows).toEqual([
      { inference_id: before.started.id, version: 2, routing_epoch: 3 },
      { inference_id: after.started.id, version: 1, routing_epoch: 4 },
    ]);
  });

  it('keeps one subject on one arm, and moves only into the arm as its weight grows', async () => {
    const tenant = await world.newTenant();
    const weigh = (weightBp: number) =>
      world.database.asSuperuser(
        `update routing set active = 1, previous = null, arms = $2 where tenant_id = $1`,
        [tenant, JSON.stringify([{ version: 2, weightBp }])],
      );
    const versions = async () => {
      const asked = Array.from({ length: 12 }, (_, at) =>
        world.ask(tenant, { body: { subject: { key: `s${at}` } } }),
      );
      return (await Promise.all(asked)).map(
        ({ body }) => (body.model as { version: number }).version,
      );
    };
    await weigh(4_000);
    const before = await versions();
    expect(await versions()).toEqual(before);
    await weigh(8_000);
    const later = await versions();
    for (const [at, version] of before.entries()) if (version === 2) expect(later[at]).toBe(2);
    expect(later.filter((version) => version === 2).length).toBeGreaterThan(
      before.filter((version) => version === 2).length,
    );
  }, 30_000);

  it('lists the caller’s own inferences in pages, newest first', async () => {
    const tenant = await world.newTenant();
    const ids = [];
    for (let n = 0; n < 3; n++) ids.unshift((await world.ask(tenant)).body.id);
    const page = await world.send({ tenant }, { path: '/v1/inferences?limit=2' });
    const items = page.body.items as { id: string }[];
    expect(items.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    const next = await world.send(
      { tenant },
      { path: `/v1/inferences?limit=2&cursor=${String(page.body.nextCursor)}` },
    );
    expect((next.body.items as { id: string }[]).map(({ id }) => id)).toEqual(ids.slice(2));
    const foreign = await world.send({ tenant, subject: 'prn_b' }, { path: '/v1/inferences' });
    expect(foreign.body.items).toEqual([]);
  });

  it('answers 202 without Prefer, and the result later', async () => {
    const tenant = await world.newTenant();
    const answer = await world.ask(tenant, { wait: 0 });
    expect(answer.status).toBe(202);
    expect(answer.body.links).toMatchObject({ self: `/v1/inferences/${answer.body.id}` });
    await eventually(async () => {
      const found = await world.send({ tenant }, { path: `/v1/inferences/${answer.body.id}` });
      expect(found.body.status).toBe('SUCCEEDED');
      expect(found.body.output?.label).toBe('yes');
    });
  });
});

const killColumn = (mode: 'fallback' | 'fail_closed') => {
  const kill = { killId: 'kil_1', scope: 'model', mode, version: null };
  return { ...kill, all: [kill] };
};
