import pg from 'pg';
import { ProviderFailure } from '../../src/domain/inference/runtime.js';
import { eventually } from '../support/eventually.js';
import { createInferenceWorld, type InferenceWorld } from './inference-world.js';

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

const rows = (sql: string, tenant: string) => world.database.asSuperuser(sql, [tenant]);
const handleOf = (workflowId: string) => world.temporal.client.workflow.getHandle(workflowId);

describe('infer', () => {
  it('refuses a run that no admitted row allows, writes nothing but the audit entry', async () => {
    const tenant = await world.newTenant();
    const { client } = world.temporal;
    const { started } = await world.admit(tenant);
    const forgedInput = { tenant, inferenceId: started.id, local: true, stepTimeoutMs: 11_000 };
    for (const [workflowId, inferenceId] of [
      [`infer/${tenant}/${'0'.repeat(40)}`, 'inf_01JZ8Q4T5V6W7X8Y9ZABCDEFGH'],
      [`infer/${tenant}/${'1'.repeat(40)}`, started.id],
    ] as const) {
      const forged = await client.workflow.start('infer', {
        workflowId,
        taskQueue: 'inference',
        args: [{ ...forgedInput, inferenceId }],
      });
      await expect(forged.result()).rejects.toMatchObject({
        cause: { type: 'START_NOT_AUTHORISED' },
      });
    }
    expect(await rows('select 1 from decision where tenant_id = $1', tenant)).toHaveLength(0);
    expect(world.calls).toHaveLength(0);
    const entries = await rows('select entry from audit_entry where tenant_id = $1', tenant);
    expect(entries.filter(({ entry }) => String(entry).includes('workflow.refused'))).toHaveLength(
      2,
    );
  });

  it('is started by the relay where the API died between commit and start', async () => {
    const tenant = await world.newTenant();
    const { started } = await world.admit(tenant);
    await eventually(
      async () => {
        const [row] = await rows('select state from inference where tenant_id = $1', tenant);
        expect(row?.state).toBe('SUCCEEDED');
      },
      { timeoutMs: 15_000 },
    );
    await expect(handleOf(started.workflowId).result()).resolves.toEqual({
      decisionId: started.id,
      status: 'SUCCEEDED',
    });
    expect(await rows('select 1 from decision where tenant_id = $1', tenant)).toHaveLength(1);
  }, 20_000);

  it('hands a wait that is too long for a step to a timer, and counts attempts from their rows', async () => {
    const tenant = await world.newTenant();
    await rows('update routing set previous = null where tenant_id = $1', tenant);
    let failures = 0;
    world.faults.set(world.digests[1] ?? 'sha256:', (next) =>
      failures++ === 0
        ? Promise.reject(new ProviderFailure('overload', 'busy', { retryAfterMs: 1_200 }))
        : next(),
    );
    const answer = await world.ask(tenant);
    expect(answer.body).toMatchObject({
      status: 'SUCCEEDED',
      attempts: [
        { n: 1, class: 'overload' },
        { n: 2, class: 'ok' },
      ],
    });
    expect(Number(answer.body.latencyMs)).toBeGreaterThan(1_000);
    const { events = [] } = await handleOf(String(answer.body.workflowId)).fetchHistory();
    const timers = events?.filter((event) => event.timerStartedEventAttributes);
    expect(timers).toHaveLength(1);
    const stored = await rows(
      'select n, state, class from inference_attempt where tenant_id = $1 order by n',
      tenant,
    );
    expect(stored).toEqual([
      { n: 1, state: 'done', class: 'overload' },
      { n: 2, state: 'done', class: 'ok' },
    ]);
  }, 20_000);

  it('ends at its deadline, once, while nobody can answer', async () => {
    const tenant = await world.newTenant();
    for (const digest of world.digests)
      world.faults.set(digest, () =>
        Promise.reject(new ProviderFailure('overload', 'busy', { retryAfterMs: 60_000 })),
      );
    await rows('update routing set previous = null where tenant_id = $1', tenant);
    const answer = await world.ask(tenant, { body: { deadlineMs: 500 } });
    expect([answer.status, answer.body.code]).toEqual([504, 'DEADLINE_EXCEEDED']);
    const decisions = await rows('select state from decision where tenant_id = $1', tenant);
    expect(decisions).toEqual([{ state: 'EXPIRED' }]);
  });

  it('ends at its deadline although its inputs cannot be opened', async () => {
    const tenant = await world.newTenant();
    const { started } = await world.admit(tenant);
    await world.database.asSuperuser(
      `update inference set inputs = '\\x00', deadline_at = now() + interval '3 seconds' where inference_id = $1`,
      [started.id],
    );
    await eventually(
      async () => {
        const decisions = await rows('select state from decision where tenant_id = $1', tenant);
        expect(decisions).toEqual([{ state: 'EXPIRED' }]);
      },
      { timeoutMs: 25_000 },
    );
  }, 30_000);

  it('a second settlement of a run writes nothing and answers with the first', async () => {
    const tenant = await world.newTenant();
    const answer = await world.ask(tenant);
    const run = await world.worker.store.load(tenant, answer.body.id);
    if (run === undefined) throw new Error('the run is gone');
    const again = await world.worker.pipeline.settle(run, {
      outcome: { state: 'FAILED', code: 'ALL_ATTEMPTS_FAILED' },
      attempts: [],
      nowMs: run.loadedMs,
    });
    expect(again).toEqual({ settled: false, state: 'SUCCEEDED', code: null });
    for (const table of ['decision', 'audit_leaf', 'outbox']) {
      expect(await rows(`select 1 from ${table} where tenant_id = $1`, tenant)).toHaveLength(1);
    }
  });

  it('names model and version in the workflow list', async () => {
    const tenant = await world.newTenant();
    const answer = await world.ask(tenant);
    const described = await handleOf(String(answer.body.workflowId)).describe();
    expect(await described.staticSummary()).toBe('tint v2 · inference in dev');
  });
});

describe('inferShadow', () => {
  const shadowing = async (sampleRateBp: number) => {
    const tenant = await world.newTenant();
    await rows(
      `insert into shadow (tenant_id, shadow_id, env, model, version, state, input, started_at)
       values ($1, 'shd_1', 'dev', 'tint', 1, 'COLLECTING', '{}', now())`,
      tenant,
    );
    await world.database.asSuperuser('update routing set shadow = $2 where tenant_id = $1', [
      tenant,
      JSON.stringify([{ shadowId: 'shd_1', version: 1, sampleRateBp }]),
    ]);
    return tenant;
  };
  const pairs = (tenant: string) => rows('select * from shadow_pair where tenant_id = $1', tenant);

  it('asks the candidate after the answer and writes the pair once, label included', async () => {
    const tenant = await shadowing(10_000);
    const answer = await world.ask(tenant);
    const label = await world.send(
      { tenant },
      {
        path: '/v1/feedback',
        body: {
          decisionId: answer.body.id,
          type: 'label',
          value: 'no',
          source: { kind: 'system', id: 'ledger' },
          observedAt: '2026-11-21T10:00:00Z',
        },
      },
    );
    expect(label.status).toBe(201);
    await eventually(async () => expect(await pairs(tenant)).toHaveLength(1));
    const [pair] = await pairs(tenant);
    expect(pair).toMatchObject({
      decision_id: answer.body.id,
      version: 1,
      champion: { version: 2, label: 'yes', probability: answer.body.output?.probability },
      candidate: { version: 1, label: 'yes' },
      error: null,
      label: 'no',
    });
    const handle = handleOf(`shadow/${tenant}/${answer.body.id}/v1`);
    await expect(handle.result()).resolves.toEqual({ written: true });
    expect((await handle.fetchHistory()).events).toHaveLength(6);
  });

  it('gives a pair the label whose transaction was still open when the pair was written', async () => {
    const tenant = await world.newTenant();
    const { body } = await world.ask(tenant);
    const pair = {
      decisionId: body.id,
      version: 1,
      shadowId: 'shd_1',
      champion: { version: 2, label: 'yes', probability: 0.5, ms: 1 },
      candidate: null,
      error: 'server',
    };
    const feedback = new pg.Client({ connectionString: world.database.urls.api });
    await feedback.connect();
    try {
      await feedback.query('begin');
      await feedback.query("select set_config('app.tenant', $1, true)", [tenant]);
      await feedback.query(
        `insert into feedback (tenant_id, feedback_id, decision_id, type, value, value_digest, source_kind, source_id,
           observed_at, created_by) values ($1, 'fb_1', $2, 'label', '"no"', '', 'system', 'ledger', now(), 'svc')`,
        [tenant, body.id],
      );
      await feedback.query('select feedback_label_pairs($1, $2)', [tenant, body.id]);
      const written = world.worker.store.recordPair(tenant, 'shadow/none', pair);
      await eventually(async () => {
        const waiting = await world.database.asSuperuser(
          `select 1 from pg_locks where locktype = 'advisory' and not granted
             and database = (select oid from pg_database where datname = current_database())`,
        );
        expect(waiting).toHaveLength(1);
      });
      await feedback.query('commit');
      await expect(written).resolves.toBe(true);
    } finally {
      await feedback.end();
    }
    expect(await pairs(tenant)).toMatchObject([{ decision_id: body.id, label: 'no' }]);
  });

  it('records a failure of the candidate, and the caller never notices', async () => {
    const tenant = await shadowing(10_000);
    world.faults.set(world.digests[0] ?? 'sha256:', () =>
      Promise.reject(new ProviderFailure('server', 'planted')),
    );
    const answer = await world.ask(tenant);
    expect(answer.body.status).toBe('SUCCEEDED');
    await eventually(async () => {
      expect(await pairs(tenant)).toMatchObject([{ candidate: null, error: 'server' }]);
    });
  });

  it('samples by the decision, so that the rate holds whoever asks', async () => {
    const tenant = await shadowing(3_000);
    // A few at a time: each call of the model has a second.
    for (let group = 0; group < 10; group++) {
      const answers = await Promise.all(Array.from({ length: 4 }, () => world.ask(tenant)));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    }
    const intents = await rows(
      `select 1 from intent where tenant_id = $1 and workflow_type = 'inferShadow'`,
      tenant,
    );
    expect(intents.length).toBeGreaterThan(2);
    expect(intents.length).toBeLessThan(25);
    await eventually(async () => expect(await pairs(tenant)).toHaveLength(intents.length), {
      timeoutMs: 30_000,
    });
  });

  it('refuses a run that no intent allows', async () => {
    const tenant = await shadowing(1);
    const answer = await world.ask(tenant);
    const forged = await world.temporal.client.workflow.start('inferShadow', {
      workflowId: `shadow/${tenant}/${answer.body.id}/v1`,
      taskQueue: 'inference',
      args: [
        { tenant, decisionId: answer.body.id, shadowId: 'shd_1', version: 1, timeoutMs: 1_000 },
      ],
    });
    await expect(forged.result()).rejects.toMatchObject({
      cause: { type: 'START_NOT_AUTHORISED' },
    });
    expect(await pairs(tenant)).toHaveLength(0);
  });
});
