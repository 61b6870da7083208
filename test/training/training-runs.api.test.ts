import { defaultTrainingLimits } from '../../src/domain/training/contract.js';
import {
  budget,
  createTrainingWorld,
  loanContract,
  loans,
  registerModel,
  type Answer,
  type TrainingWorld,
} from './training-world.js';
import { allRefused, readForged } from '../support/forge-cursor.js';

let world: TrainingWorld;
let tenant: string;
let snapshotId: string;

const RUNS = '/v1/models/credit/training-runs';
const request = (change: object = {}) => ({
  snapshotId,
  trainer: { kind: 'gbt', params: { trees: 20 } },
  budget,
  ...change,
});
const start = (change: object = {}, more: { idempotencyKey?: string } = {}) =>
  world.send('POST', RUNS, { tenant, body: request(change), ...more });
const pointers = ({ body }: Answer) =>
  (body.errors as { pointer: string }[] | undefined)?.map(({ pointer }) => pointer) ?? [];
const runCount = async () => {
  const [row] = await world.database.asSuperuser(
    'select count(*)::int as n from training_run where tenant_id = $1',
    [tenant],
  );
  return row?.n;
};

beforeAll(async () => {
  world = await createTrainingWorld({ limits: defaultTrainingLimits });
});
beforeEach(async () => {
  tenant = world.newTenant();
  await registerModel(world, tenant);
  snapshotId = await world.publish(tenant, { csv: loans(60) });
});
afterAll(() => world.close());

test('a run is accepted with every default filled in, its intent written and its workflow named', async () => {
  const answer = await start();
  expect(answer).toMatchObject({ status: 202, body: { status: 'QUEUED' } });
  const id = answer.body.id as string;
  expect(answer.body.workflowId).toBe(`training/${tenant}/${id}`);
  const { body } = await world.send('GET', `/v1/training-runs/${id}`, { tenant });
  expect(body).toMatchObject({
    state: 'QUEUED',
    requestedBy: `prn_${tenant}`,
    plan: {
      purpose: 'lending',
      target: 'outcome',
      classes: ['bad', 'good'],
      features: ['income', 'age', 'region'],
      protectedAttributes: ['sex'],
      useProtected: false,
      seed: 0,
      split: { strategy: 'holdout', fractionsBp: [8000, 2000], salt: '' },
      trainer: { kind: 'gbt', params: { trees: 20, depth: 5, rate: 0.1, bins: 64 } },
      reason: 'manual',
    },
  });
  const [intent] = await world.database.asSuperuser(
    'select workflow_type, input, options from intent where tenant_id = $1',
    [tenant],
  );
  expect(intent).toMatchObject({
    workflow_type: 'trainModel',
    input: { tenant, runId: id, model: 'credit', trainerKind: 'gbt', maxWallClockMs: 120_000 },
    options: {
      summary: `credit ← snapshot ${snapshotId.slice(7, 11)}… gbt`,
      searchAttributes: { Target: 'credit', Phase: 'QUEUED' },
    },
  });
  expect(world.started.at(-1)?.workflowId).toBe(answer.body.workflowId);
});

test('the same key answers the same run, also after the snapshot has been withdrawn', async () => {
  const first = await start({}, { idempotencyKey: 'once' });
  await world.database.asSuperuser(
    `update snapshot set state = 'TOMBSTONED' where tenant_id = $1`,
    [tenant],
  );
  expect(await start({}, { idempotencyKey: 'once' })).toEqual(first);
  expect(await runCount()).toBe(1);
});

test('a snapshot that is not LIVE is refused with its state', async () => {
  for (const state of ['STALE_CONSENT', 'TOMBSTONED', 'EXPIRED']) {
    await world.database.asSuperuser('update snapshot set state = $2 where tenant_id = $1', [
      tenant,
      state,
    ]);
    expect(await start()).toMatchObject({
      status: 422,
      body: { code: 'SNAPSHOT_NOT_LIVE', state },
    });
  }
  expect(await runCount()).toBe(0);
});

test('a purpose that snapshot or model do not cover is denied', async () => {
  const other = await world.publish(tenant, { csv: loans(60, 2), purposes: ['marketing'] });
  expect(await start({ snapshotId: other })).toMatchObject({
    status: 403,
    body: { code: 'PURPOSE_DENIED', allowed: ['marketing'] },
  });
  expect(await start({ purpose: 'marketing' })).toMatchObject({
    status: 403,
    body: { code: 'PURPOSE_DENIED', allowed: ['lending'] },
  });
  expect(await runCount()).toBe(0);
});

test('what does not exist is a 404: model, snapshot, evaluation snapshot, and those of another tenant', async () => {
  const unknown = `sha256:${'0'.repeat(64)}`;
  expect(await start({ snapshotId: unknown })).toMatchObject({ status: 404 });
  const missing = await start({ evaluationSnapshotId: unknown, split: { strategy: 'provided' } });
  expect(missing).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
  expect(pointers(missing)).toEqual(['/evaluationSnapshotId']);
  const answer = await world.send('POST', '/v1/models/other/training-runs', {
    tenant,
    body: request(),
  });
  expect(answer).toMatchObject({ status: 404, body: { code: 'MODEL_NOT_FOUND' } });
  const stranger = world.newTenant();
  await registerModel(world, stranger);
  expect(await world.send('POST', RUNS, { tenant: stranger, body: request() })).toMatchObject({
    status: 404,
  });
});

test('trainers that are not installed here are refused as unavailable', async () => {
  for (const kind of ['command', 'kubernetes', 'sagemaker'])
    expect(await start({ trainer: { kind, name: 'gpu-job' } })).toMatchObject({
      status: 422,
      body: { code: 'TRAINER_UNAVAILABLE' },
    });
  expect(await start({ trainer: { kind: 'forest' } })).toMatchObject({ status: 400 });
});

test('every parameter out of range is named by its pointer', async () => {
  const answer = await start({
    trainer: { kind: 'gbt', params: { trees: 0, depth: 99, learning_rate: 0.1 } },
  });
  expect(answer).toMatchObject({ status: 422, body: { code: 'PARAMETER_INVALID' } });
  expect(pointers(answer).sort()).toEqual([
    '/trainer/params/depth',
    '/trainer/params/learning_rate',
    '/trainer/params/trees',
  ]);
  expect(await start({ resources: { gpu: 1 } })).toMatchObject({
    status: 422,
    body: { code: 'PARAMETER_INVALID', errors: [{ pointer: '/resources/gpu' }] },
  });
  expect(await start({ parentVersion: 1 })).toMatchObject({
    status: 422,
    body: { code: 'PARAMETER_INVALID', errors: [{ pointer: '/parentVersion' }] },
  });
});

test('features that are unknown, the label, an identifier or protected are refused one by one', async () => {
  const answer = await start({ features: ['income', 'wealth', 'outcome', 'id', 'sex'] });
  expect(answer).toMatchObject({ status: 422, body: { code: 'FEATURE_UNKNOWN' } });
  expect(pointers(answer)).toEqual(['/features/1', '/features/2', '/features/3', '/features/4']);
  expect(await start({ features: ['income', 'sex'], useProtected: true })).toMatchObject({
    status: 202,
  });
});

test('a split that does not fit is refused', async () => {
  const bad = [
    { strategy: 'holdout', fractionsBp: [8000, 1000] },
    { strategy: 'holdout' },
    { strategy: 'provided' },
    { strategy: 'kfold', fractionsBp: [10_000] },
  ];
  for (const split of bad)
    expect(await start({ split })).toMatchObject({ status: 422, body: { code: 'SPLIT_INVALID' } });
  const same = { split: { strategy: 'provided' }, evaluationSnapshotId: snapshotId };
  expect(pointers(await start(same))).toEqual(['/evaluationSnapshotId']);
  const timeless = { ...loanContract, eventTimeField: undefined };
  const flat = await world.publish(tenant, { csv: loans(60, 3), contract: timeless });
  const byTime = { strategy: 'time', fractionsBp: [7000, 3000] };
  expect(await start({ snapshotId: flat, split: byTime })).toMatchObject({
    status: 422,
    body: { code: 'SPLIT_INVALID' },
  });
  expect(await start({ split: byTime })).toMatchObject({ status: 202 });
});

test('a label with one class is refused before anything starts', async () => {
  const csv = loans(40, 4).replaceAll(',bad', ',good');
  const oneClass = await world.publish(tenant, { csv });
  expect(await start({ snapshotId: oneClass })).toMatchObject({
    status: 422,
    body: { code: 'LABEL_SINGLE_CLASS' },
  });
});

test('a budget is required, and one without time is exceeded at once', async () => {
  const missing = await start({ budget: undefined });
  expect(missing).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST' } });
  expect(pointers(missing)).toEqual(['/budget']);
  expect(await start({ budget: { ...budget, maxWallClockMs: 0 } })).toMatchObject({
    status: 402,
    body: { code: 'BUDGET_EXCEEDED' },
  });
});

test('reasons of our own workflows and unknown keys are refused', async () => {
  const answer = await start({ reason: 'drift', notebook: 'x' });
  expect(answer.status).toBe(400);
  expect(pointers(answer).sort()).toEqual(['/notebook', '/reason']);
});

test('runs are listed newest first, filtered, and paged; those of others are not there', async () => {
  const ids: string[] = [];
  for (const experiment of ['a', 'b', 'a'])
    ids.push((await start({ experiment })).body.id as string);
  const list = (query: string, as = tenant) =>
    world.send('GET', `${RUNS}?${query}`, { tenant: as });
  const idsOf = ({ body }: Answer) => (body.items as { id: string }[]).map(({ id }) => id);
  expect(idsOf(await list('experiment=a'))).toEqual([ids[2], ids[0]]);
  const first = await list('limit=2');
  expect(idsOf(first)).toEqual([ids[2], ids[1]]);
  const cursor = first.body.nextCursor as string;
  expect(idsOf(await list(`limit=2&cursor=${cursor}`))).toEqual([ids[0]]);
  expect(await list(`limit=2&experiment=a&cursor=${cursor}`)).toMatchObject({
    status: 400,
    body: { code: 'CURSOR_INVALID' },
  });
  const stranger = world.newTenant();
  expect(idsOf(await list('limit=9', stranger))).toEqual([]);
  const foreign = await world.send('GET', `/v1/training-runs/${ids[0]}`, { tenant: stranger });
  expect(foreign.status).toBe(404);
});

test('metrics are paged by name and step, logs in order', async () => {
  const id = (await start()).body.id as string;
  const metrics = ['log_loss', 'holdout_auc'].flatMap((name) =>
    [1, 2, 3].map((step) => ({ name, step, value: step / 10 })),
  );
  await world.runs.recordProgress(tenant, id, { attempt: 1, metrics, lines: ['one', 'two'] });
  await world.runs.recordProgress(tenant, id, {
    attempt: 2,
    metrics: [{ name: 'log_loss', step: 3, value: 9 }],
    lines: ['three'],
  });
  const ask = (path: string) => world.send('GET', `/v1/training-runs/${id}/${path}`, { tenant });
  const get = async (path: string) =>
    (await ask(path)).body as {
      items: { name: string; step: number; value: number; line: string }[];
      nextCursor?: string;
    };
  const first = await get('metrics?limit=4');
  expect(first.items.map(({ name, step }) => `${name}/${step}`)).toEqual([
    'holdout_auc/1',
    'holdout_auc/2',
    'holdout_auc/3',
    'log_loss/1',
  ]);
  const second = await get(`metrics?limit=4&cursor=${first.nextCursor ?? ''}`);
  expect(second.items.map(({ value }) => value)).toEqual([0.2, 0.3]);
  expect((await get('metrics?name=holdout_auc')).items).toHaveLength(3);
  const logs = await get('logs?limit=2');
  expect(logs.items.map(({ line }) => line)).toEqual(['one', 'two']);
  const rest = await get(`logs?limit=2&cursor=${logs.nextCursor ?? ''}`);
  expect(rest.items.map(({ line }) => line)).toEqual(['three']);
  const wrong = ['1:a\0', 'x:log_loss', ':log_loss', '2147483648:log_loss', '2147483648'];
  for (const list of ['metrics', 'logs'])
    expect(
      await readForged(
        (cursor) => ask(`${list}?limit=1${cursor ? `&cursor=${cursor}` : ''}`),
        wrong,
      ),
    ).toEqual(allRefused(wrong));
});

test('a run that trains shows its newest recorded step of those it may take, and no other run does', async () => {
  const id = (await start()).body.id as string;
  const progress = async (state: string) => {
    await world.database.asSuperuser(
      'update training_run set state = $3 where tenant_id = $1 and run_id = $2',
      [tenant, id, state],
    );
    return (await world.send('GET', `/v1/training-runs/${id}`, { tenant })).body.progress;
  };
  expect(await progress('RUNNING')).toBeUndefined();
  const metrics = [3, 12].map((step) => ({ name: 'log_loss', step, value: 0.5 }));
  await world.runs.recordProgress(tenant, id, { attempt: 1, metrics, lines: [] });
  expect(await progress('RUNNING')).toEqual({ step: 12, maxSteps: 20 });
  expect(await progress('FAILED')).toBeUndefined();
});

test('a cancellation is recorded once and wakes the run; one that is over cannot be cancelled', async () => {
  const id = (await start()).body.id as string;
  const cancel = () =>
    world.send('POST', `/v1/training-runs/${id}:cancel`, {
      tenant,
      body: { reason: 'wrong snapshot' },
    });
  const before = world.woken.length;
  expect(await cancel()).toMatchObject({ status: 202, body: { id } });
  expect(await cancel()).toMatchObject({ status: 202 });
  expect(world.woken.length - before).toBe(1);
  expect(world.woken.at(-1)?.workflowId).toBe(`training/${tenant}/${id}`);
  const { body } = await world.send('GET', `/v1/training-runs/${id}`, { tenant });
  expect(body.cancel).toMatchObject({ by: `prn_${tenant}`, reason: 'wrong snapshot' });
  const other = (await start()).body.id as string;
  await world.database.asSuperuser(
    `update training_run set state = 'FAILED' where tenant_id = $1 and run_id = $2`,
    [tenant, other],
  );
  const late = await world.send('POST', `/v1/training-runs/${other}:cancel`, { tenant, body: {} });
  expect(late).toMatchObject({
    status: 409,
    body: { code: 'ILLEGAL_TRANSITION', from: 'FAILED', to: 'CANCELLED' },
  });
});

test('a reader may look and not start', async () => {
  const roles = ['viewer'] as const;
  const answer = await world.send('POST', RUNS, { tenant, roles: [...roles], body: request() });
  expect(answer).toMatchObject({ status: 403, body: { permission: 'training:run' } });
  expect(await world.send('GET', RUNS, { tenant, roles: [...roles] })).toMatchObject({
    status: 200,
  });
});
