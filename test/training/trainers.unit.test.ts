import { exportModel } from '../../src/adapters/onnx/export-model.js';
import { cutThresholds } from '../../src/domain/training/bin-columns.js';
import { startTraining } from '../../src/domain/training/start-training.js';
import {
  createPredictor,
  predictProbability,
  predictTable,
  type GbtModel,
  type LogisticModel,
} from '../../src/domain/training/trained-model.js';
import { parseTrainerParams } from '../../src/domain/training/trainer-params.js';
import type { TrainerState } from '../../src/domain/training/training-process.js';
import { createTableBuilder } from '../../src/domain/training/training-table.js';
import { createRandom, seededFields, seededRows } from './seeded-rows.js';
import { processOf, runSteps, tableOf, trainModel, trainerSpec } from '../support/train-model.js';

const classes = ['no', 'yes'] as const;

describe('parameters', () => {
  it('fills in the documented defaults', () => {
    expect(trainerSpec('logistic').params).toEqual({
      lambda: 1,
      maxIterations: 500,
      tolerance: 1e-6,
    });
    expect(trainerSpec('gbt').params).toEqual({
      trees: 100,
      depth: 5,
      rate: 0.1,
      bins: 64,
      lambda: 1,
      minHessian: 1,
    });
  });

  it('names every unknown and every out-of-range parameter by its pointer', () => {
    const parsed = parseTrainerParams('gbt', { trees: 0, rate: 2, 'learning/rate': 1, seed: 3 });
    expect(parsed).toMatchObject({ ok: false, code: 'PARAMETER_INVALID' });
    const pointers = parsed.ok ? [] : parsed.errors.map(({ pointer }) => pointer).sort();
    expect(pointers).toEqual([
      '/trainer/params/learning~1rate',
      '/trainer/params/rate',
      '/trainer/params/seed',
      '/trainer/params/trees',
    ]);
  });
});

describe.each(['logistic', 'gbt'] as const)('%s', (kind) => {
  const data = { table: tableOf(seededFields, seededRows(600, 1)), classes };
  const trainer = trainerSpec(
    kind,
    kind === 'gbt' ? { trees: 24, depth: 3 } : { tolerance: 1e-12 },
  );

  it('gives equal bytes for equal data and parameters', () => {
    const [first, second] = [trainModel(data, trainer), trainModel(data, trainer)];
    expect(Buffer.from(exportModel(first)).equals(Buffer.from(exportModel(second)))).toBe(true);
  });

  it('continues bit for bit from its state after any step', () => {
    const whole = processOf(data, trainer);
    const outcomes = runSteps(whole);
    for (const stop of [1, 3, outcomes.length - 2]) {
      const part = processOf(data, trainer);
      runSteps(part, stop);
      const state = JSON.parse(JSON.stringify(part.state())) as TrainerState;
      const rest = processOf(data, trainer, state);
      expect(runSteps(rest)).toEqual(outcomes.slice(stop));
      expect(rest.model()).toEqual(whole.model());
    }
  });

  it('lowers the training loss with every step and reports held-out metrics', () => {
    const holdout = tableOf(seededFields, seededRows(200, 2), data.table);
    const steps = runSteps(processOf({ ...data, holdout }, trainer)).filter(
      (outcome) => outcome.kind === 'step',
    );
    const losses = steps.map(({ metrics }) => metrics['log_loss'] ?? Number.NaN);
    expect(losses.every((loss, at) => at === 0 || loss <= (losses[at - 1] ?? 0))).toBe(true);
    const model = trainModel(data, trainer);
    const hits = predictTable(model, holdout).filter(
      (p, at) => p >= 0.5 === (holdout.labels[at] === 1),
    );
    expect(steps.at(-1)?.metrics['holdout_accuracy']).toBe(hits.length / 200);
    expect(steps.at(-1)?.metrics['holdout_log_loss']).toBeGreaterThan(0);
  });

  it('scores raw rows and encoded rows alike', () => {
    const rows = seededRows(200, 3);
    const model = trainModel(data, trainer);
    const encoded = predictTable(model, tableOf(seededFields, rows, data.table));
    expect(rows.rows.map(createPredictor(model))).toEqual(Array.from(encoded));
  });

  it('refuses one class only, no rows and fields without numbers, as outcomes', () => {
    const { rows } = seededRows(20, 4);
    const oneClass = tableOf(seededFields, { rows, labels: rows.map(() => true) });
    expect(startTraining({ data: { table: oneClass, classes }, trainer })).toMatchObject({
      ok: false,
      failure: { code: 'LABEL_SINGLE_CLASS' },
    });
    const empty = tableOf(seededFields, { rows: [], labels: [] });
    expect(startTraining({ data: { table: empty, classes }, trainer })).toMatchObject({
      ok: false,
      failure: { code: 'TRAINER_INPUT_REFUSED' },
    });
  });
});

describe('logistic', () => {
  it('ends where the gradient of the penalised loss is zero', () => {
    const rows = seededRows(400, 5);
    const table = tableOf(seededFields, rows);
    const lambda = 0.7;
    const trainer = trainerSpec('logistic', { lambda, tolerance: 1e-12 });
    const model = trainModel({ table, classes }, trainer) as LogisticModel;
    const p = predictTable(model, table);
    const residual = Array.from(p, (value, at) => value - (table.labels[at] ?? 0));
    expect(Math.abs(residual.reduce((sum, r) => sum + r, 0))).toBeLessThan(1e-6);
    for (const term of model.fields) {
      if (term.kind === 'numeric') {
        const x = table.numeric.find(({ name }) => name === term.name)?.values ?? [];
        const slope = residual.reduce(
          (sum, r, at) => sum + (r * (Math.fround(x[at] ?? 0) - term.mean)) / term.deviation,
          0,
        );
        expect(Math.abs(slope + lambda * term.weight)).toBeLessThan(1e-6);
        continue;
      }
      const codes = table.categorical.find(({ name }) => name === term.name)?.codes ?? [];
      for (const [code, weight] of term.weights.entries()) {
        const slope = residual.reduce((sum, r, at) => sum + (codes[at] === code ? r : 0), 0);
        expect(Math.abs(slope + lambda * weight)).toBeLessThan(1e-6);
      }
    }
  });

  it('reports divergence as an outcome of the step, not as an exception', () => {
    const table = tableOf(seededFields, seededRows(50, 6));
    const trainer = trainerSpec('logistic');
    const state = processOf({ table, classes }, trainer).state();
    if (state.kind !== 'logistic') throw new Error(state.kind);
    const weights = state.weights.map(() => Number.NaN);
    const process = processOf({ table, classes }, trainer, { ...state, weights });
    expect(process.next()).toMatchObject({
      kind: 'diverged',
      failure: { code: 'TRAINER_DIVERGED' },
    });
  });

  it('gives a constant field no influence', () => {
    const { rows, labels } = seededRows(200, 7);
    const constant = rows.map((row) => ({ ...row, constant: 42 }));
    const fields = [...seededFields, { name: 'constant', type: 'number' as const }];
    const model = trainModel(
      { table: tableOf(fields, { rows: constant, labels }), classes },
      trainerSpec('logistic'),
    );
    const row = constant[0] ?? {};
    const changed = predictProbability(model, { ...row, constant: 42 });
    expect(changed).toBe(predictProbability(model, row));
    const term = model.fields.find(({ name }) => name === 'constant');
    expect(term).toMatchObject({ mean: 42, deviation: 1, weight: 0 });
  });
});

describe('gbt', () => {
  it('cuts at quantiles of the distinct values, so that a mostly-zero field keeps its bins', () => {
    const values = new Float64Array(10_000);
    for (let i = 0; i < 200; i++) values[i] = i + 1;
    expect(cutThresholds(values, 64)).toHaveLength(63);
    expect(cutThresholds(Float64Array.of(3, 1, 1, 2), 64)).toEqual(Float64Array.of(1.5, 2.5));
    expect(cutThresholds(Float64Array.of(5, 5), 64)).toHaveLength(0);
  });

  it('puts every float32 threshold between its neighbours, also for dense identifiers near 1e9', () => {
    const random = createRandom(8);
    const values = Float64Array.from({ length: 500 }, () =>
      Math.fround(1e9 + Math.floor(random() * 500) * 64),
    );
    const distinct = [...new Set(values)].sort((a, b) => a - b);
    const thresholds = cutThresholds(values, 64);
    for (const threshold of thresholds) {
      expect(Math.fround(threshold)).toBe(threshold);
      const left = distinct.filter((value) => value <= threshold).at(-1) ?? Number.NaN;
      const right = distinct.find((value) => value > threshold) ?? Number.NaN;
      expect(left <= threshold && threshold < right).toBe(true);
    }
    expect(new Set(thresholds).size).toBe(thresholds.length);
  });

  it('keeps the cover of each node equal to the rows of its children', () => {
    const table = tableOf(seededFields, seededRows(500, 9));
    const trainer = trainerSpec('gbt', { trees: 5 });
    const { trees } = trainModel({ table, classes }, trainer) as GbtModel;
    for (const tree of trees) {
      expect(tree[0]?.cover).toBe(500);
      for (const node of tree) {
        if (node.kind === 'leaf') continue;
        expect((tree[node.left]?.cover ?? 0) + (tree[node.right]?.cover ?? 0)).toBe(node.cover);
      }
    }
  });

  it('finds a rule that needs a category and a number together', () => {
    const data = seededRows(2_000, 10, (row) => row.colour === 'red' && row.size > 0);
    const table = tableOf(seededFields, data);
    const model = trainModel({ table, classes }, trainerSpec('gbt', { trees: 60 }));
    const wrong = predictTable(model, table).filter(
      (p, at) => p >= 0.5 !== (table.labels[at] === 1),
    );
    expect(wrong.length).toBeLessThanOrEqual(10);
  });
});

describe('table builder', () => {
  it('names each field with missing or unusable values', () => {
    const builder = createTableBuilder([
      { name: 'a/b', type: 'number' },
      { name: 'huge', type: 'number' },
      { name: 'id', type: 'string' },
    ]);
    for (let i = 0; i < 1_001; i++)
      builder.add({ 'a/b': i === 3 ? null : i, huge: i === 5 ? 1e300 : 1, id: `id-${i}` }, i > 500);
    const built = builder.finish();
    expect(built).toMatchObject({
      ok: false,
      code: 'TRAINER_INPUT_REFUSED',
      errors: [
        { pointer: '/features/a~1b', code: 'VALUE_MISSING' },
        { pointer: '/features/huge', code: 'VALUE_OUT_OF_RANGE' },
        { pointer: '/features/id', code: 'TOO_MANY_CATEGORIES' },
      ],
    });
  });

  it('sorts categories, keeps a missing one as the empty text and marks unknown ones in held-out rows', () => {
    const fields = [{ name: 'c', type: 'categorical' as const }];
    const rows = [{ c: 'b' }, { c: null }, { c: 'B' }, { c: 'b' }];
    const table = tableOf(fields, { rows, labels: [true, false, true, false] });
    expect(table.categorical[0]).toMatchObject({ categories: ['', 'B', 'b'] });
    expect(Array.from(table.categorical[0]?.codes ?? [])).toEqual([2, 0, 1, 2]);
    const held = tableOf(fields, { rows: [{ c: 'new' }, { c: 'b' }], labels: [true, true] }, table);
    expect(Array.from(held.categorical[0]?.codes ?? [])).toEqual([-1, 2]);
  });
});
