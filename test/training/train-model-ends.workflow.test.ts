import { createOnnxRuntime } from '../../src/adapters/onnx/create-onnx-runtime.js';
import { exportModel } from '../../src/adapters/onnx/export-model.js';
import type { TrainedModel } from '../../src/domain/training/trained-model.js';
import { startTestChild } from '../support/model-runtime.js';
import { RunHarness, slow } from './run-harness.js';
import { budget, loans, testLimits } from './training-world.js';

let rig: RunHarness;

beforeAll(async () => {
  rig = await RunHarness.open();
});
beforeEach(() => rig.renew());
afterEach(() => rig.rest());
afterAll(() => rig.close());

test('a cancelled run writes a last checkpoint and registers nothing', async () => {
  const snapshotId = await rig.publish(loans(4_000));
  await rig.work();
  const runId = await rig.start(snapshotId, slow);
  await rig.checkpointed(runId);
  const answer = await rig.world.send('POST', `/v1/training-runs/${runId}:cancel`, {
    tenant: rig.tenant,
    body: { reason: 'wrong features' },
  });
  expect(answer.status).toBe(202);
  expect(await rig.handle(runId).result()).toMatchObject({ state: 'CANCELLED' });
  const run = await rig.run(runId);
  expect(run).toMatchObject({ state: 'CANCELLED', cancel: { reason: 'wrong features' } });
  expect(run.version).toBeUndefined();
  expect(run.result?.checkpoint?.step).toBe(run.result?.steps);
  expect(run.result?.steps).toBeLessThan(1_000);
  expect(await rig.versionCount()).toBe(0);
}, 60_000);

test('a run cancelled from the Temporal side ends CANCELLED too', async () => {
  const snapshotId = await rig.publish(loans(4_000));
  await rig.work();
  const runId = await rig.start(snapshotId, slow);
  await rig.checkpointed(runId);
  await rig.handle(runId).cancel();
  expect(await rig.handle(runId).result()).toMatchObject({ state: 'CANCELLED' });
  expect(await rig.run(runId)).toMatchObject({ state: 'CANCELLED' });
  expect(await rig.versionCount()).toBe(0);
}, 60_000);

test('a wake without a fact moves nothing', async () => {
  const snapshotId = await rig.publish(loans(2_000));
  await rig.work();
  const runId = await rig.start(snapshotId);
  await rig.handle(runId).executeUpdate('wake', { args: [{ factId: 'evt_forged' }] });
  await expect(rig.handle(runId).executeUpdate('wake', { args: [{}] })).rejects.toThrow();
  await rig.registered(runId);
}, 60_000);

test('the wall clock ends a run with a last checkpoint and counts over attempts', async () => {
  const snapshotId = await rig.publish(loans(4_000));
  await rig.work();
  const short = { ...slow, budget: { ...budget, maxWallClockMs: 3_000 } };
  const run = await rig.refused(await rig.start(snapshotId, short), 'WALL_CLOCK_EXCEEDED');
  expect(run).toMatchObject({
    state: 'BUDGET_EXCEEDED',
    failure: { code: 'WALL_CLOCK_EXCEEDED' },
  });
  expect(run.result?.checkpoint?.step).toBe(run.result?.steps);
  expect(run.result?.steps).toBeGreaterThan(0);
  await rig.rest();

  const second = await rig.start(snapshotId);
  await rig.world.database.asSuperuser(
    `update training_run set started_at = now() - interval '3 minutes' where tenant_id = $1 and run_id = $2`,
    [rig.tenant, second],
  );
  await rig.work();
  expect(await rig.refused(second, 'WALL_CLOCK_EXCEEDED')).toMatchObject({
    state: 'BUDGET_EXCEEDED',
  });
  expect(await rig.steps(second, 'log_loss')).toEqual([]);
  expect(await rig.versionCount()).toBe(0);
}, 60_000);

test('a snapshot withdrawn before admission or before registration ends the run as REJECTED_INPUT', async () => {
  const snapshotId = await rig.publish(loans(300));
  const early = await rig.start(snapshotId);
  await rig.setSnapshots('TOMBSTONED');
  await rig.work({
    exportModel: (model) => {
      late.withdraw();
      return exportModel(model);
    },
  });
  const late = { withdraw: (): void => undefined };
  expect(await rig.refused(early, 'SNAPSHOT_NOT_LIVE')).toMatchObject({
    state: 'REJECTED_INPUT',
    failure: { code: 'SNAPSHOT_NOT_LIVE', errors: [{ pointer: '/snapshotId' }] },
  });
  await rig.setSnapshots('LIVE');
  let withdrawn: Promise<unknown> = Promise.resolve();
  late.withdraw = () => {
    withdrawn = rig.setSnapshots('STALE_CONSENT');
  };
  const second = await rig.start(snapshotId);
  expect(await rig.refused(second, 'SNAPSHOT_NOT_LIVE')).toMatchObject({ state: 'REJECTED_INPUT' });
  await withdrawn;
  expect(await rig.versionCount()).toBe(0);
}, 60_000);

test('data that cannot be learned from fails at the first attempt, by its code', async () => {
  const lines = loans(400).trimEnd().split('\n');
  const csv = lines
    .map((line, i) => (i === 0 ? line : line.replace(/,(good|bad)$/, i <= 300 ? ',good' : ',bad')))
    .join('\n');
  const snapshotId = await rig.publish(csv);
  await rig.work();
  const split = { strategy: 'time', fractionsBp: [5000, 5000] };
  const runId = await rig.start(snapshotId, { split });
  expect(await rig.refused(runId, 'LABEL_SINGLE_CLASS')).toMatchObject({
    state: 'FAILED',
    failure: { code: 'LABEL_SINGLE_CLASS' },
  });
  expect((await rig.log(runId)).filter((line) => line.includes('started'))).toHaveLength(1);
}, 60_000);

test('an export that differs from the trained model is not registered', async () => {
  const snapshotId = await rig.publish(loans(400));
  const tampered = (model: TrainedModel): TrainedModel =>
    model.kind === 'gbt' ? { ...model, baseScore: model.baseScore + 0.01 } : model;
  await rig.work({ exportModel: (model) => exportModel(tampered(model)) });
  expect(await rig.refused(await rig.start(snapshotId), 'ONNX_PARITY_FAILED')).toMatchObject({
    state: 'FAILED',
    failure: { code: 'ONNX_PARITY_FAILED' },
  });
  expect(await rig.versionCount()).toBe(0);
}, 60_000);

test('without an ONNX runtime nothing is registered unchecked', async () => {
  const snapshotId = await rig.publish(loans(400));
  const runtime = createOnnxRuntime({
    slots: 1,
    startChild: startTestChild,
    runtimePackage: 'onnxruntime-that-is-not-there',
    locateArtifact: async () => '/nowhere',
  });
  try {
    await rig.work({ runtime });
    expect(await rig.refused(await rig.start(snapshotId), 'RUNTIME_UNAVAILABLE')).toMatchObject({
      state: 'FAILED',
    });
  } finally {
    runtime.close();
  }
}, 60_000);

test('a run that nobody authorised does nothing', async () => {
  const snapshotId = await rig.publish(loans(300));
  await rig.work();
  const input = { tenant: rig.tenant, runId: 'trn_01JZ8Q4T5V6W7X8Y9ZABCDEFGH', model: 'credit' };
  await rig.temporal.client.workflow.start('trainModel', {
    workflowId: `training/${rig.tenant}/${input.runId}`,
    taskQueue: 'orchestration',
    args: [{ ...input, trainerKind: 'gbt', maxWallClockMs: 1_000, limits: testLimits, snapshotId }],
  });
  expect(await rig.failureCode(input.runId)).toBe('START_NOT_AUTHORISED');
}, 30_000);

test('a run that gets no training slot in time says so', async () => {
  const snapshotId = await rig.publish(loans(4_000));
  await rig.work({}, { maxConcurrentActivityTaskExecutions: 1 });
  const first = await rig.start(snapshotId, slow);
  await rig.checkpointed(first);
  rig.world.limits.admissionTimeoutMs = 1_000;
  const second = await rig.start(snapshotId);
  expect(await rig.refused(second, 'ADMISSION_TIMEOUT')).toMatchObject({ state: 'FAILED' });
  await rig.handle(first).cancel();
  expect(await rig.handle(first).result()).toMatchObject({ state: 'CANCELLED' });
}, 60_000);
