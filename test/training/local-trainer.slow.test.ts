import { createLocalTrainer } from '../../src/adapters/local-trainer/create-local-trainer.js';
import { exportModel } from '../../src/adapters/onnx/export-model.js';
import { startThread } from '../../src/adapters/processes/start-child.js';
import { sha256Hex } from '../../src/domain/digest.js';
import type {
  CheckpointRef,
  TrainHandle,
  TrainJob,
  Trainer,
} from '../../src/domain/training/trainer.js';
import { tableOf, trainModel, trainerSpec } from '../support/train-model.js';
import { testEnvironment } from '../support/model-runtime.js';
import { seededFields, seededRows } from './seeded-rows.js';

const classes = ['no', 'yes'] as const;
const data = seededRows(3_000, 21);
const table = tableOf(seededFields, data);
const holdout = tableOf(seededFields, seededRows(500, 22), table);
const trainer = trainerSpec('gbt', { trees: 60 });
const job = (runId: string): TrainJob => ({ runId, trainer, seed: 0, classes, table, holdout });

/** A store of checkpoints in memory, and trainers over it; `starts` counts threads. */
function harness() {
  const stored = new Map<string, Uint8Array>();
  const made: { close(): void }[] = [];
  let starts = 0;
  return {
    stored,
    starts: () => starts,
    create(save?: (ref: CheckpointRef) => Promise<void>) {
      const local = createLocalTrainer({
        startThread: (entry, workerData) => {
          starts++;
          return startThread(entry, { data: workerData, env: testEnvironment });
        },
        saveCheckpoint: async ({ runId, step, bytes }) => {
          const ref = { step, ref: `${runId}/${step}`, sha256: sha256Hex(bytes) };
          await save?.(ref);
          stored.set(ref.ref, bytes);
          return ref;
        },
        readCheckpoint: async ({ ref }) => stored.get(ref) ?? new Uint8Array(),
      });
      made.push(local);
      return local;
    },
    close: () => made.forEach((local) => local.close()),
  };
}

/** Polls until the training ends or has a checkpoint of this step; returns the last progress. */
async function pollUntil(local: Trainer, handle: TrainHandle, checkpointStep = Infinity) {
  for (;;) {
    const progress = await local.poll(handle, { waitMs: 10_000 });
    const reached = (progress.checkpoint?.step ?? 0) >= checkpointStep;
    if (reached || !['STARTING', 'RUNNING'].includes(progress.phase)) return progress;
  }
}

describe('local trainer', () => {
  const rig = harness();
  afterAll(() => rig.close());

  it('trains in a thread to the very model that the trainer gives in place, with a metric per step', async () => {
    const local = rig.create();
    const handle = await local.start(job('run-a'));
    expect(await pollUntil(local, handle)).toMatchObject({ phase: 'FINISHED', step: 60 });
    const output = await local.collect(handle);
    const reference = trainModel({ table, holdout, classes }, trainer);
    expect(output.model).toEqual(reference);
    expect(output.checkpoint?.step).toBe(60);
    const losses = output.metrics.filter(({ name }) => name === 'holdout_log_loss');
    expect(losses.map(({ step }) => step)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    expect(
      (await local.poll(handle, { afterStep: 59 })).metrics.every(({ step }) => step === 60),
    ).toBe(true);
  }, 30_000);

  it('keeps the caller’s table and its event loop free', async () => {
    const local = rig.create();
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const handle = await local.start(job('run-b'));
    await pollUntil(local, handle);
    clearInterval(timer);
    const { usage } = await local.collect(handle);
    expect(ticks).toBeGreaterThan(usage.wallClockMs / 20);
    expect(table.numeric[0]?.values.length).toBe(3_000);
  }, 30_000);

  it('resumes from the checkpoint of a killed thread and gives the same artifact, metrics complete', async () => {
    const whole = rig.create();
    const undisturbed = await whole.start(job('run-c'));
    await pollUntil(whole, undisturbed);

    const killed = rig.create();
    const first = await killed.start(job('run-d'));
    const { checkpoint } = await pollUntil(killed, first, 30);
    killed.close();
    expect(await killed.poll(first)).toMatchObject({
      phase: 'FAILED',
      failure: { code: 'OPERATION_FAILED', retryable: true },
    });

    const resumed = rig.create();
    const second = await resumed.start(job('run-d'), checkpoint);
    expect((await resumed.poll(second)).step).toBe(checkpoint?.step);
    await pollUntil(resumed, second);
    const [a, b] = [await whole.collect(undisturbed), await resumed.collect(second)];
    expect(sha256Hex(exportModel(b.model))).toBe(sha256Hex(exportModel(a.model)));
    expect(b.metrics).toEqual(a.metrics);
  }, 60_000);

  it('refuses a checkpoint whose bytes do not match its digest', async () => {
    const local = rig.create();
    const ref = { step: 10, ref: 'bad', sha256: sha256Hex('other') };
    rig.stored.set('bad', new TextEncoder().encode('{}'));
    await expect(local.start(job('run-e'), ref)).rejects.toMatchObject({
      code: 'ARTIFACT_CORRUPT',
    });
  });

  it('adopts a running job instead of starting a second thread', async () => {
    const local = rig.create();
    const before = rig.starts();
    const [one, two] = await Promise.all([local.start(job('run-f')), local.start(job('run-f'))]);
    await pollUntil(local, one);
    await local.start(job('run-f'));
    expect(rig.starts() - before).toBe(1);
    expect(await local.collect(two)).toEqual(await local.collect(one));
  }, 30_000);

  it('stops with a last checkpoint and goes on from it later', async () => {
    const local = rig.create();
    const long = { ...job('run-g'), trainer: trainerSpec('gbt', { trees: 1_000 }) };
    const handle = await local.start(long);
    await pollUntil(local, handle, 10);
    await local.stop(handle, 5_000);
    const { phase, step, checkpoint } = await local.poll(handle);
    expect(phase).toBe('STOPPED');
    expect(checkpoint?.step).toBe(step);
    await expect(local.collect(handle)).rejects.toThrow('STOPPED');
    await local.start({ ...long, trainer: trainerSpec('gbt', { trees: step + 1 }) }, checkpoint);
    expect(await pollUntil(local, handle)).toMatchObject({ phase: 'FINISHED', step: step + 1 });
  }, 30_000);

  it('names a checkpoint only after it is stored, and fails retryably where it cannot be', async () => {
    const order: string[] = [];
    const local = rig.create(async ({ step }) => {
      order.push(`stored ${step}`);
      if (step === 20) throw new Error('disk full');
    });
    const handle = await local.start(job('run-h'));
    expect(await pollUntil(local, handle)).toMatchObject({
      phase: 'FAILED',
      checkpoint: { step: 10 },
      failure: { code: 'OPERATION_FAILED', message: 'disk full', retryable: true },
    });
    expect(order).toEqual(['stored 10', 'stored 20']);
  }, 30_000);

  it('reports a refused training as a final failure with its code', async () => {
    const local = rig.create();
    const single = tableOf(seededFields, { rows: data.rows, labels: data.rows.map(() => false) });
    const handle = await local.start({ ...job('run-i'), table: single, holdout: undefined });
    expect(await pollUntil(local, handle)).toMatchObject({
      phase: 'FAILED',
      failure: { code: 'LABEL_SINGLE_CLASS', retryable: false },
    });
  }, 30_000);
});
