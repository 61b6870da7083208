import { describeArtifact } from '../../src/adapters/onnx/describe-artifact.js';
import { exportModel, inputNames } from '../../src/adapters/onnx/export-model.js';
import {
  attributeType,
  decodeModel,
  encodeModel,
  tensorType,
  type OnnxGraph,
  type OnnxModel,
} from '../../src/adapters/onnx/onnx-messages.js';
import { scanArtifact } from '../../src/adapters/onnx/scan-artifact.js';
import { compareProbabilities, measureParity } from '../../src/domain/training/measure-parity.js';
import type { TrainedModel } from '../../src/domain/training/trained-model.js';
import type { FeatureField, RawRow } from '../../src/domain/training/training-table.js';
import { createRuntimeHarness } from '../support/model-runtime.js';
import { tableOf, trainModel, trainerSpec } from '../support/train-model.js';
import { createRandom, seededFields, seededRows } from './seeded-rows.js';

const classes = ['no', 'yes'] as const;
const harness = createRuntimeHarness();
afterAll(() => harness.close());

async function expectParity(model: TrainedModel, rows: readonly RawRow[]): Promise<void> {
  const runtime = harness.start();
  const version = { digest: harness.put(exportModel(model)), golden: [] };
  const report = await measureParity(model, rows, async (batch) => {
    const call = { version, rows: batch, timeoutMs: 30_000 };
    return (await runtime.predict(call, new AbortController().signal)).probabilities;
  });
  runtime.close();
  expect(report).toMatchObject({ ok: true, rows: rows.length });
}

describe.each(['logistic', 'gbt'] as const)('export of %s', (kind) => {
  const trainer = trainerSpec(kind, kind === 'gbt' ? { trees: 30 } : {});

  it('keeps parity on numbers as large as epoch milliseconds and on dense identifiers near 1e9', async () => {
    const random = createRandom(11);
    const fields: FeatureField[] = [
      ...seededFields,
      { name: 'opened at', type: 'timestamp' },
      { name: 'account', type: 'integer' },
      { name: 'year', type: 'integer' },
    ];
    const { rows, labels } = seededRows(2_000, 12);
    const wide = rows.map((row) => ({
      ...row,
      'opened at': new Date(1_700_000_000_000 + Math.floor(random() * 1e10)).toISOString(),
      account: 1e9 + Math.floor(random() * 4_000),
      year: 2_000 + Math.floor(random() * 25),
    }));
    const byTime = labels.map(
      (label, at) => label !== Date.parse(wide[at]?.['opened at'] ?? '') > 1_705_000_000_000,
    );
    const table = tableOf(fields, { rows: wide, labels: byTime });
    const model = trainModel({ table, classes }, trainer);
    const inputs = new Map(
      model.fields.map((field) => [field.name, field.kind === 'numeric' ? field.input : 'string']),
    );
    expect(inputs.get('opened at')).toBe(kind === 'logistic' ? 'double' : 'float');
    expect(inputs.get('size')).toBe('float');
    await expectParity(model, wide);
  }, 30_000);

  it.each([
    ['numbers', seededFields.slice(0, 2)],
    ['categories', seededFields.slice(2)],
    ['one number', seededFields.slice(0, 1)],
  ])(
    'works with %s only',
    async (_, fields) => {
      const data = seededRows(1_000, 13);
      const model = trainModel({ table: tableOf(fields, data), classes }, trainer);
      await expectParity(model, data.rows);
    },
    30_000,
  );

  it('gives an unknown category the same probability as the reference', async () => {
    const data = seededRows(500, 14);
    const model = trainModel({ table: tableOf(seededFields, data), classes }, trainer);
    await expectParity(
      model,
      data.rows.map((row) => ({ ...row, colour: 'ultraviolet' })),
    );
  }, 30_000);

  it('takes one typed input per raw field and says which', () => {
    const table = tableOf(seededFields, seededRows(200, 15));
    const bytes = exportModel(trainModel({ table, classes }, trainer));
    expect(describeArtifact(bytes)).toEqual({
      inputs: [
        { field: 'size', type: 'number', input: 'size', kind: 'float' },
        { field: 'count', type: 'integer', input: 'count', kind: 'float' },
        { field: 'colour', type: 'categorical', input: 'colour', kind: 'string' },
        { field: 'member', type: 'boolean', input: 'member', kind: 'string' },
      ],
      output: 'probabilities',
      classes: ['no', 'yes'],
    });
  });
});

describe('input names', () => {
  it('are identifiers, distinct, and apart from the outputs', () => {
    expect(inputNames(['capital-gain', 'capital_gain', 'label', '2nd', '', 'größe'])).toEqual([
      'capital_gain',
      'capital_gain_2',
      'label_2',
      'f2nd',
      'f',
      'gr__e',
    ]);
  });
});

describe('artifact scan', () => {
  const table = tableOf(seededFields, seededRows(200, 16));
  const clean = exportModel(trainModel({ table, classes }, trainerSpec('logistic')));
  const altered = (change: (model: OnnxModel, graph: OnnxGraph) => void): Uint8Array => {
    const model = decodeModel(clean);
    change(model, model.graph ?? {});
    return encodeModel(model);
  };
  const codesOf = (bytes: Uint8Array) => scanArtifact(bytes).findings.map(({ code }) => code);

  it('lists versions and operators of an artifact of ours and allows it', () => {
    expect(scanArtifact(clean)).toEqual({
      allowed: true,
      irVersion: 8,
      opsets: [
        { domain: '', version: 17 },
        { domain: 'ai.onnx.ml', version: 3 },
      ],
      operators: [
        'Concat',
        'Flatten',
        'ai.onnx.ml:LinearClassifier',
        'ai.onnx.ml:OneHotEncoder',
        'ai.onnx.ml:Scaler',
      ],
      findings: [],
    });
  });

  it('refuses external data, wherever it hides', () => {
    const externalData = [{ key: 'location', value: '/etc/passwd' }];
    const tensor = { name: 'w', dataType: tensorType.float, externalData };
    expect(codesOf(altered((_, graph) => (graph.initializer = [tensor])))).toEqual([
      'EXTERNAL_DATA',
    ]);
    expect(
      codesOf(altered((_, graph) => (graph.initializer = [{ name: 'w', dataLocation: 1 }]))),
    ).toEqual(['EXTERNAL_DATA']);
    expect(
      codesOf(
        altered((_, graph) =>
          graph.node?.[0]?.attribute?.push({ name: 'v', type: attributeType.tensor, t: tensor }),
        ),
      ),
    ).toEqual(['EXTERNAL_DATA']);
  });

  it('refuses foreign domains, unlisted operators, subgraphs, functions and training graphs', () => {
    expect(
      codesOf(
        altered((model, graph) => {
          model.opsetImport?.push({ domain: 'com.evil', version: 1 });
          graph.node?.push({ opType: 'Run', domain: 'com.evil' });
        }),
      ),
    ).toEqual(['OPSET', 'OPERATOR']);
    expect(codesOf(altered((_, graph) => graph.node?.push({ opType: 'Loop' })))).toEqual([
      'OPERATOR',
    ]);
    expect(
      codesOf(
        altered((_, graph) =>
          graph.node?.[0]?.attribute?.push({ name: 'body', type: 5, g: { name: 'inner' } }),
        ),
      ),
    ).toEqual(['SUBGRAPH']);
    expect(codesOf(altered((model) => (model.functions = [{ name: 'f' }])))).toEqual(['FUNCTION']);
    expect(codesOf(altered((model) => (model.trainingInfo = [{}])))).toEqual(['TRAINING_GRAPH']);
  });

  it('refuses versions outside the ranges and bytes that are no model', () => {
    expect(codesOf(altered((model) => (model.irVersion = 99)))).toEqual(['IR_VERSION']);
    expect(
      codesOf(altered((model) => (model.opsetImport = [{ domain: 'ai.onnx.ml', version: 5 }]))),
    ).toEqual(['OPSET']);
    expect(codesOf(Uint8Array.of(0xff, 0xff, 0xff))).toEqual(['UNREADABLE']);
    expect(codesOf(new Uint8Array())).toContain('UNREADABLE');
  });
});

describe('parity', () => {
  it('fails on a difference above 1e-5, on NaN, on a missing row and on no rows', () => {
    expect(compareProbabilities([0.2, 0.8], [0.2, 0.800009]).ok).toBe(true);
    expect(compareProbabilities([0.2, 0.8], [0.2, 0.80002])).toMatchObject({
      ok: false,
      worstRow: 1,
    });
    expect(compareProbabilities([0.2], [Number.NaN])).toMatchObject({
      ok: false,
      maxAbsDifference: Number.POSITIVE_INFINITY,
    });
    expect(compareProbabilities([0.2, 0.3], [0.2]).ok).toBe(false);
    expect(compareProbabilities([], []).ok).toBe(false);
  });

  it('lets a label differ only within 1e-5 of one half', () => {
    expect(compareProbabilities([0.500004], [0.499999])).toMatchObject({ labelMismatches: 0 });
    expect(compareProbabilities([0.6], [0.4])).toMatchObject({ labelMismatches: 1 });
  });
});
