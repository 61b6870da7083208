import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CheckpointFiles } from '../../src/activities/training/index.js';
import { adultContract } from '../datasets/stage-table.js';
import { adultFeatures, describeWithData, testDataDir } from '../support/test-data.js';
import { RunHarness } from './run-harness.js';

describeWithData('adult', 'training runs on the official Adult split', () => {
  let rig: RunHarness;
  let snapshotId: string;
  let evaluationSnapshotId: string;

  const publish = (file: string, map?: Record<string, string>) =>
    rig.publish(readFileSync(join(testDataDir, 'adult', file), 'utf8'), {
      contract: adultContract(map),
      format: { header: false, nullTokens: ['?'] },
    });
  const start = (kind: string) =>
    rig.start(snapshotId, {
      evaluationSnapshotId,
      features: adultFeatures.map(({ name }) => name),
      useProtected: true,
      trainer: { kind },
    });

  beforeAll(async () => {
    rig = await RunHarness.open();
    await rig.renew();
    snapshotId = await publish('adult-train.csv');
    evaluationSnapshotId = await publish('adult-test.csv', { '<=50K.': '<=50K', '>50K.': '>50K' });
  }, 60_000);
  afterEach(() => rig.rest());
  afterAll(() => rig.close());

  it('E2: logistic reaches accuracy .8471, AUC .9030, Brier .1050 and ECE .008', async () => {
    await rig.work();
    const { result } = await rig.registered(await start('logistic'));
    expect(result?.rows).toEqual({ training: 30_162, holdout: 15_060 });
    expect(result?.metrics?.holdout_accuracy).toBeCloseTo(0.8471, 3);
    expect(result?.metrics?.holdout_auc).toBeCloseTo(0.903, 3);
    expect(result?.metrics?.holdout_brier).toBeCloseTo(0.105, 3);
    expect(result?.metrics?.holdout_ece).toBeCloseTo(0.008, 2);
    expect(result?.parity?.rows).toBe(15_060);
    expect(result?.parity?.maxAbsDifference).toBeLessThanOrEqual(1e-5);
  }, 60_000);

  it('E3, E4: boosted trees reach .871 and .925, with the same bytes when an attempt breaks at tree 50', async () => {
    let broken = false;
    await rig.work({
      createTrainer: (files: CheckpointFiles) =>
        rig.world.createTrainer({
          ...files,
          saveCheckpoint: (checkpoint) => {
            if (broken || checkpoint.step <= 50) return files.saveCheckpoint(checkpoint);
            broken = true;
            throw new Error('the machine went away');
          },
        }),
    });
    const resumed = await rig.registered(await start('gbt'));
    expect(await rig.log(resumed.id)).toContain(
      'attempt 2: resumed from the checkpoint of step 50',
    );
    await rig.work();
    const { result, artifactDigest } = await rig.registered(await start('gbt'));
    expect(artifactDigest).toBe(resumed.artifactDigest);
    expect(result?.metrics?.holdout_accuracy).toBeGreaterThan(0.868);
    expect(result?.metrics?.holdout_accuracy).toBeLessThan(0.874);
    expect(result?.metrics?.holdout_auc).toBeGreaterThan(0.922);
    expect(result?.metrics?.holdout_auc).toBeLessThan(0.928);
    expect(1 - (result?.metrics?.holdout_accuracy ?? 0)).toBeLessThan(0.141);
    expect(result?.parity?.maxAbsDifference).toBeLessThanOrEqual(1e-5);
  }, 90_000);
});
