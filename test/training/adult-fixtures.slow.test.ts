import { exportModel } from '../../src/adapters/onnx/export-model.js';
import { scanArtifact } from '../../src/adapters/onnx/scan-artifact.js';
import { measureRows } from '../../src/domain/evaluation/metrics.js';
import { measureParity } from '../../src/domain/training/measure-parity.js';
import { predictTable, type TrainedModel } from '../../src/domain/training/trained-model.js';
import { artifactDigest, createRuntimeHarness } from '../support/model-runtime.js';
import { adultFeatures, describeWithData, loadAdult } from '../support/test-data.js';
import { processOf, runSteps, tableOf, trainModel, trainerSpec } from '../support/train-model.js';

const classes = ['<=50K', '>50K'] as const;

function fit(kind: 'logistic' | 'gbt', without: readonly string[] = []) {
  const { train, test } = loadAdult();
  const fields = adultFeatures.filter(({ name }) => !without.includes(name));
  const table = tableOf(fields, train);
  const model = trainModel({ table, classes }, trainerSpec(kind));
  const held = tableOf(fields, test, table);
  const probabilities = predictTable(model, held);
  return { model, table, metrics: measureRows({ probabilities, labels: held.labels }) };
}

function expectNear(actual: number, expected: number, tolerance: number): void {
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(tolerance);
}

describeWithData('adult', 'trainers on the official Adult split', () => {
  const harness = createRuntimeHarness();
  afterAll(() => harness.close());

  async function expectParity(model: TrainedModel): Promise<void> {
    const runtime = harness.start();
    const digest = harness.put(exportModel(model));
    const version = { digest, golden: [] };
    const report = await measureParity(model, loadAdult().test.rows, async (rows) => {
      const call = { version, rows, timeoutMs: 30_000 };
      return (await runtime.predict(call, new AbortController().signal)).probabilities;
    });
    runtime.close();
    expect(report).toMatchObject({ ok: true, rows: 15_060, labelMismatches: 0 });
    expect(report.maxAbsDifference).toBeLessThanOrEqual(1e-5);
  }

  it('reads 30,162 and 15,060 rows without a missing value', () => {
    const { train, test } = loadAdult();
    expect([train.rows.length, test.rows.length]).toEqual([30_162, 15_060]);
  });

  it('E2, E4: the full logistic model reaches the published figures and its export keeps parity', async () => {
    const { model, table, metrics } = fit('logistic');
    const oneHot = table.categorical.reduce((sum, { categories }) => sum + categories.length, 0);
    expect([table.numeric.length, oneHot]).toEqual([5, 98]);
    expectNear(metrics.accuracy, 0.8471, 0.002);
    expectNear(metrics.auc, 0.903, 0.002);
    expectNear(metrics.brier, 0.105, 0.002);
    expectNear(metrics.ece, 0.008, 0.002);
    expect(metrics.error).toBeLessThan(0.1554);
    await expectParity(model);
  }, 60_000);

  it('E3, E4: boosted trees reach the published figures and their export keeps parity', async () => {
    const { model, metrics } = fit('gbt');
    expectNear(metrics.accuracy, 0.871, 0.003);
    expectNear(metrics.auc, 0.925, 0.003);
    expect(metrics.error).toBeLessThan(0.141);
    await expectParity(model);
  }, 60_000);

  it('E7: without the capital fields accuracy falls to .8298', () => {
    const { metrics } = fit('logistic', ['capital-gain', 'capital-loss']);
    expectNear(metrics.accuracy, 0.8298, 0.002);
  });

  it('E8: without sex, race and relationship accuracy stays at .8467', () => {
    const { metrics } = fit('logistic', ['sex', 'race', 'relationship']);
    expectNear(metrics.accuracy, 0.8467, 0.002);
  });

  it('gives the same artifact digest whether or not the training was interrupted at tree 50', () => {
    const table = tableOf(adultFeatures, loadAdult().train);
    const data = { table, classes };
    const trainer = trainerSpec('gbt');
    const undisturbed = exportModel(trainModel(data, trainer));

    const first = processOf(data, trainer);
    runSteps(first, 50);
    const stored = JSON.stringify(first.state());
    const second = processOf(data, trainer, JSON.parse(stored) as ReturnType<typeof first.state>);
    expect(second.state().step).toBe(50);
    expect(runSteps(second)).toHaveLength(51);
    expect(artifactDigest(exportModel(second.model()))).toBe(artifactDigest(undisturbed));
    expect(scanArtifact(undisturbed)).toMatchObject({ allowed: true, findings: [] });
  });
});
