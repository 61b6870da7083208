import { eventually } from '../support/eventually.js';
import type { CheckpointFiles } from '../../src/activities/training/index.js';
import type { TrainingResult } from '../../src/domain/training/contract.js';
import { RunHarness } from './run-harness.js';
import { loans } from './training-world.js';

let rig: RunHarness;

beforeAll(async () => {
  rig = await RunHarness.open();
});
beforeEach(() => rig.renew());
afterEach(() => rig.rest());
afterAll(() => rig.close());

/** A result in which every stage has written. */
function allOf(result: TrainingResult | undefined) {
  const { rows, parity, metrics, checkpoint, environment } = result ?? {};
  if (!rows || !parity || !metrics || !checkpoint || !environment)
    throw new Error(`incomplete: ${JSON.stringify(result)}`);
  return { rows, parity, metrics, checkpoint, environment };
}

test('a run trains, measures its holdout, proves its export and registers a whole version', async () => {
  const snapshotId = await rig.publish(loans(3_000));
  await rig.work();
  const runId = await rig.start(snapshotId, { experiment: 'first' });
  const run = await rig.registered(runId);
  expect(run).toMatchObject({ state: 'REGISTERED', version: 1, plan: { experiment: 'first' } });
  const result = allOf(run.result);
  expect(result.rows.training + result.rows.holdout).toBe(3_000);
  expect(result.rows.holdout).toBeGreaterThan(500);
  expect(result.rows.holdout).toBeLessThan(700);
  expect(result.parity).toMatchObject({ rows: result.rows.holdout, labelMismatches: 0 });
  expect(result.parity.maxAbsDifference).toBeLessThanOrEqual(1e-5);
  expect(result.metrics.holdout_auc).toBeGreaterThan(0.75);
  expect(result.checkpoint.step).toBe(100);
  expect(result.environment.node).toBe('test');
  expect(await rig.steps(runId, 'log_loss')).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));

  const version = await rig.version(1);
  expect(version).toMatchObject({
    assurance: 'REGISTERED',
    artifactDigest: run.artifactDigest,
    runId,
    metrics: { holdout_auc: result.metrics.holdout_auc },
    lineage: { snapshotId, target: 'outcome', classes: ['bad', 'good'], seed: 0 },
  });
  expect(version.contract.input.fields.map(({ name }) => name)).toEqual([
    'income',
    'age',
    'region',
  ]);
  expect(version.contract.input.fields[2]).toMatchObject({ enum: ['east', 'north', 'south'] });
  expect(version.golden).toHaveLength(8);
  for (const { inputs, output } of version.golden) {
    expect(Object.keys(inputs).sort()).toEqual(['age', 'income', 'region']);
    expect(output.label).toBe(output.probability >= 0.5 ? 'good' : 'bad');
  }
  const actions = await rig.world.database.asSuperuser(
    `select entry::jsonb ->> 'action' as action from audit_entry
     where tenant_id = $1 and entry::jsonb ->> 'workflowId' is not null order by seq`,
    [rig.tenant],
  );
  expect(actions.map(({ action }) => action)).toEqual([
    'training.admitted',
    'training.running',
    'training.evaluating_holdout',
    'training.packaging',
    'registry.registered',
  ]);
}, 60_000);

test('an operator reads model, phase and figures from the workflow list', async () => {
  const snapshotId = await rig.publish(loans(400));
  await rig.work();
  const runId = await rig.start(snapshotId);
  await rig.registered(runId);
  const described = await rig.handle(runId).describe();
  expect(await described.staticSummary()).toBe(`credit ← snapshot ${snapshotId.slice(7, 11)}… gbt`);
  const attributes = Object.fromEntries(
    described.typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]),
  );
  expect(attributes).toMatchObject({
    Tenant: rig.tenant,
    Target: 'credit',
    Phase: 'REGISTERED',
    WaitingOn: 'nothing',
    Version: 'v1',
  });
  expect(await rig.handle(runId).query('getStatus')).toMatchObject({ state: 'REGISTERED' });
}, 60_000);

test('equal snapshot, parameters and seed give an equal artifact, whatever order the rows came in', async () => {
  const csv = loans(800);
  const [header = '', ...rows] = csv.trimEnd().split('\n');
  const first = await rig.publish(csv);
  await rig.work();
  const one = await rig.registered(await rig.start(first));
  await rig.renew();
  const shuffled = await rig.publish([header, ...rows.reverse()].join('\n'));
  expect(shuffled).toBe(first);
  const two = await rig.registered(await rig.start(shuffled));
  expect(two.artifactDigest).toBe(one.artifactDigest);
  const three = await rig.registered(await rig.start(shuffled, { split: undefined, seed: 0 }));
  expect(three).toMatchObject({ artifactDigest: one.artifactDigest, version: 2 });
  const changed = await rig.registered(
    await rig.start(shuffled, { trainer: { kind: 'logistic' } }),
  );
  expect(changed.artifactDigest).not.toBe(one.artifactDigest);
}, 90_000);

test('an attempt that breaks at tree 50 is resumed there: the same artifact, ten trees repeated at most', async () => {
  const snapshotId = await rig.publish(loans(1_500));
  let broken = false;
  let firstStepOfSecond: number | undefined;
  const createTrainer = (files: CheckpointFiles) => {
    const trainer = rig.world.createTrainer({
      ...files,
      saveCheckpoint: (checkpoint) => {
        if (broken || checkpoint.step <= 50) return files.saveCheckpoint(checkpoint);
        broken = true;
        throw new Error('the machine went away');
      },
    });
    return {
      start: trainer.start.bind(trainer),
      stop: trainer.stop.bind(trainer),
      collect: trainer.collect.bind(trainer),
      poll: async (...poll: Parameters<typeof trainer.poll>) => {
        const progress = await trainer.poll(...poll);
        if (broken && progress.phase !== 'FAILED') firstStepOfSecond ??= progress.step;
        return progress;
      },
    };
  };
  await rig.work({ createTrainer });
  const runId = await rig.start(snapshotId);
  const resumed = await rig.registered(runId);
  expect(broken).toBe(true);
  expect(firstStepOfSecond).toBeGreaterThanOrEqual(50);
  expect(await rig.log(runId)).toContain('attempt 2: resumed from the checkpoint of step 50');
  const rows = await rig.world.database.asSuperuser(
    `select step, attempt from training_checkpoint where tenant_id = $1 and run_id = $2 order by step`,
    [rig.tenant, runId],
  );
  expect(rows.map(({ step, attempt }) => `${String(attempt)}:${String(step)}`)).toEqual([
    ...[10, 20, 30, 40, 50].map((step) => `1:${step}`),
    ...[60, 70, 80, 90, 100].map((step) => `2:${step}`),
  ]);
  expect(await rig.steps(runId, 'log_loss')).toHaveLength(100);
  await rig.work();
  const undisturbed = await rig.registered(await rig.start(snapshotId));
  expect(undisturbed.artifactDigest).toBe(resumed.artifactDigest);
}, 90_000);

test('a damaged checkpoint is dropped and the one before it used', async () => {
  const snapshotId = await rig.publish(loans(600));
  let broken = false;
  const createTrainer = (files: CheckpointFiles) =>
    rig.world.createTrainer({
      ...files,
      saveCheckpoint: async (checkpoint) => {
        if (broken || checkpoint.step < 40) return files.saveCheckpoint(checkpoint);
        broken = true;
        // A checkpoint counts once the metrics of its steps are written, which another loop does.
        await eventually(async () => {
          const [last] = await rig.world.runs.listCheckpoints(rig.tenant, runId);
          expect(last?.step).toBe(30);
        });
        const name = 'checkpoint-30.json';
        const body = (async function* () {
          yield Buffer.from('{"state":');
        })();
        await rig.world.artifacts.putStaged({ tenantId: rig.tenant, scope: runId, name, body });
        throw new Error('the disk went bad');
      },
    });
  const runId = await rig.start(snapshotId);
  await rig.work({ createTrainer });
  await rig.registered(runId);
  expect(await rig.log(runId)).toEqual(
    expect.arrayContaining([
      'attempt 2: the checkpoint of step 30 is damaged and was dropped',
      'attempt 2: resumed from the checkpoint of step 20',
    ]),
  );
}, 60_000);

test('a provided holdout, a split by time and k folds train on what they say', async () => {
  const snapshotId = await rig.publish(loans(500));
  const evaluationSnapshotId = await rig.publish(loans(200, 9));
  await rig.work();
  const rowsOf = async (change: object) =>
    (
      await rig.registered(
        await rig.start(snapshotId, { trainer: { kind: 'logistic' }, ...change }),
      )
    ).result?.rows;
  expect(await rowsOf({ evaluationSnapshotId })).toEqual({ training: 500, holdout: 200 });
  const byTime = { strategy: 'time', fractionsBp: [6000, 4000] };
  expect(await rowsOf({ split: byTime })).toEqual({ training: 300, holdout: 200 });
  const folds = { strategy: 'kfold', fractionsBp: [2500, 2500, 2500, 2500], salt: 'x' };
  const rows = await rowsOf({ split: folds });
  expect(rows?.training).toBeGreaterThan(330);
  expect(rows?.training).toBeLessThan(420);
  expect((rows?.training ?? 0) + (rows?.holdout ?? 0)).toBe(500);
  const lineage = await rig.get<{ edges: { relation: string }[] }>(
    '/v1/lineage?node=version/credit/1',
  );
  const relations = lineage.edges.map(({ relation }) => relation);
  expect(relations.sort()).toEqual(['held_out', 'produced_by', 'trained_on']);
}, 90_000);
