import { parseModelContract } from '../../src/domain/datasets/model-contract.js';
import type { ModelContract } from '../../src/domain/datasets/model-contract.js';
import { contractBreaks } from '../../src/domain/datasets/contract-breaks.js';
import { deriveModelContract } from '../../src/domain/datasets/derive-model-contract.js';
import { createProfiler } from '../../src/domain/datasets/profile.js';
import { checkOutput, compileInputs } from '../../src/domain/datasets/validate-inputs.js';
import { contractOf } from './stage-table.js';

function modelContract(input: object[], output: object[] = [{ name: 'label', type: 'string' }]) {
  const parsed = parseModelContract({ input: { fields: input }, output: { fields: output } });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return parsed.contract;
}

const fields = [
  { name: 'age', type: 'integer', min: 17, max: 90 },
  { name: 'hours', type: 'number', nullable: true },
  { name: 'city', type: 'categorical', enum: ['A', 'B'] },
  { name: 'job', type: 'categorical', enum: ['x'], onUnknownCategory: 'other' },
  {
    name: 'kind',
    type: 'categorical',
    enum: ['p', 'q'],
    onUnknownCategory: 'impute',
    imputeValue: 'p',
  },
  { name: 'score', type: 'number', onMissing: 'impute', imputeValue: 0.5 },
  { name: 'a/b', type: 'boolean' },
  { name: 'at', type: 'timestamp' },
  { name: 'code', type: 'string', maxLength: 4, pattern: '[A-Z]+' },
  { name: 'vec', type: 'vector', min: 0, max: 1, maxLength: 2 },
  { name: 'grid', type: 'tensor' },
];
const contract = modelContract(fields);
const check = compileInputs(contract.input.fields, { pointer: '/inputs' });
const good = {
  age: 40,
  city: 'A',
  job: 'x',
  kind: 'q',
  score: 1,
  'a/b': false,
  at: '2026-01-02T03:04:05+01:00',
  code: 'AB',
  vec: [0, 1],
  grid: [
    [1, 2],
    [3, 4],
  ],
};

describe('inference inputs', () => {
  it('that hold are answered whole, absent nullable values as null', () => {
    const outcome = check(good);
    expect(outcome).toEqual({
      ok: true,
      values: { ...good, hours: null, at: '2026-01-02T02:04:05.000Z' },
      warnings: [],
    });
  });

  it('are imputed where the contract says so, and each imputation is listed', () => {
    const inputs = { ...good, score: undefined, job: 'new', kind: 'new' };
    expect(check(inputs)).toMatchObject({
      ok: true,
      values: { score: 0.5, job: '__other__', kind: 'p' },
      warnings: [
        { pointer: '/inputs/job', code: 'other_category' },
        { pointer: '/inputs/kind', code: 'imputed' },
        { pointer: '/inputs/score', code: 'imputed' },
      ],
    });
  });

  it('with ten violations get all ten by pointer in one answer, and no value back', () => {
    const outcome = check({
      age: 40.5,
      hours: '40',
      city: 'Secretville',
      job: null,
      'a/b': 1,
      at: 'yesterday',
      code: 'secret',
      vec: [0, 2, NaN],
      grid: [[1], [1, 2]],
      score: 1,
      kind: 'p',
      extra: 1,
    });
    const found = outcome.ok ? [] : outcome.errors.map((one) => `${one.pointer} ${one.code}`);
    expect(found).toEqual([
      '/inputs/age type',
      '/inputs/hours type',
      '/inputs/city enum',
      '/inputs/job missing',
      '/inputs/a~1b type',
      '/inputs/at type',
      '/inputs/code max_length',
      '/inputs/code pattern',
      '/inputs/vec type',
      '/inputs/grid type',
      '/inputs/extra unknown_field',
    ]);
    expect(JSON.stringify(outcome)).not.toMatch(/secret/i);
  });

  it('never get more than 100 violations, and are told that there were more', () => {
    const many = Array.from({ length: 150 }, (_, i) => ({ name: `f${i}`, type: 'number' }));
    const outcome = compileInputs(modelContract(many).input.fields)({});
    expect(outcome).toMatchObject({ ok: false, truncated: true });
    expect(outcome.ok ? [] : outcome.errors).toHaveLength(100);
  });

  it.each([[null], [[]], ['text'], [undefined]])(
    'that are no object (%j) are refused',
    (inputs) => {
      expect(check(inputs)).toMatchObject({
        ok: false,
        errors: [{ pointer: '/inputs', code: 'type' }],
      });
    },
  );

  it('do not reach the prototype of an object', () => {
    const inputs = JSON.parse(`{"__proto__": {"age": 40}}`) as unknown;
    const outcome = check(inputs);
    expect(outcome.ok ? [] : outcome.errors).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ pointer: '/inputs/__proto__', code: 'unknown_field' }),
        expect.objectContaining({ pointer: '/inputs/age', code: 'missing' }),
      ]),
    );
  });
});

describe('model output', () => {
  const output = modelContract(fields, [
    { name: 'label', type: 'categorical', enum: ['no', 'yes'] },
    { name: 'probability', type: 'number', min: 0, max: 1 },
  ]).output.fields;

  it('is checked against its contract, with nothing imputed', () => {
    expect(checkOutput(output, { label: 'yes', probability: 0.7 })).toEqual({ ok: true });
    for (const [answer, pointer] of [
      [{ label: 'maybe', probability: 0.7 }, '/label'],
      [{ label: 'yes', probability: 1.01 }, '/probability'],
      [{ label: 'yes', probability: NaN }, '/probability'],
      [{ label: 'yes' }, '/probability'],
      [{ label: 'yes', probability: 0.7, more: 1 }, '/more'],
    ] as const)
      expect(checkOutput(output, answer)).toMatchObject({ ok: false, errors: [{ pointer }] });
  });
});

describe('contract change', () => {
  const output = [
    { name: 'label', type: 'categorical', enum: ['a', 'b'] },
    { name: 'p', type: 'number', min: 0, max: 1 },
  ];
  const before = modelContract(fields, output);
  const input = (name: string, change: object, source = fields) =>
    modelContract(
      source.map((field) => (field.name === name ? { ...field, ...change } : field)),
      output,
    );
  const out = (name: string, change: object) =>
    modelContract(
      fields,
      output.map((field) => (field.name === name ? { ...field, ...change } : field)),
    );

  it.each<[string, ModelContract]>([
    ['nothing', before],
    [
      'a new optional input',
      modelContract([...fields, { name: 'n', type: 'number', nullable: true }], output),
    ],
    ['a wider range', input('age', { min: 0, max: 120 })],
    ['a wider enum', input('city', { enum: ['A', 'B', 'C'] })],
    ['an input that may be null now', input('code', { nullable: true })],
    ['an integer that may be any number', input('age', { type: 'number' })],
    ['a narrower output range', out('p', { min: 0.1 })],
    ['a narrower output enum', out('label', { enum: ['a'] })],
  ])('is compatible: %s', (_, after) => {
    expect(contractBreaks(before, after)).toEqual([]);
  });

  it.each<[string, ModelContract, string]>([
    ['an input is gone', modelContract(fields.slice(1), output), '/input/fields/age'],
    [
      'a required input is new',
      modelContract([...fields, { name: 'n', type: 'text' }], output),
      '/input/fields/n',
    ],
    ['a narrower range', input('age', { min: 18 }), '/input/fields/age/min'],
    ['a narrower enum', input('city', { enum: ['A'] }), '/input/fields/city/enum'],
    ['a new enum', input('code', { enum: ['AB'] }), '/input/fields/code/enum'],
    ['another type', input('city', { type: 'integer', enum: [1] }), '/input/fields/city/type'],
    ['a value required now', input('hours', { nullable: false }), '/input/fields/hours/nullable'],
    [
      'unknown categories refused now',
      input('job', { onUnknownCategory: 'reject' }),
      '/input/fields/job/onUnknownCategory',
    ],
    ['another unit', input('age', { unit: 'months' }), '/input/fields/age/unit'],
    ['a wider output range', out('p', { max: 2 }), '/output/fields/p/max'],
    ['a wider output enum', out('label', { enum: ['a', 'b', 'c'] }), '/output/fields/label/enum'],
    ['an output that may be null', out('p', { nullable: true }), '/output/fields/p/nullable'],
  ])('is a break: %s', (_, after, pointer) => {
    expect(contractBreaks(before, after).map((one) => one.pointer)).toContain(pointer);
  });
});

describe('deriving a model contract', () => {
  const data = contractOf({
    fields: [
      { name: 'id', type: 'string', personal: 'identifier' },
      { name: 'age', type: 'integer' },
      { name: 'sex', type: 'categorical', personal: 'protected' },
      { name: 'city', type: 'categorical' },
      { name: 'note', type: 'text' },
      { name: 'y', type: 'integer' },
    ],
    label: { field: 'y', positive: 1 },
  });
  const profileOf = (labels: number[]) => {
    const profiler = createProfiler(data.fields);
    for (const [i, label] of labels.entries())
      profiler.add([`t${i}`, 30 + i, 'f', i % 2 ? 'Rome' : 'Oslo', 'hello', label]);
    return profiler.finish().profile;
  };

  it('takes neither identifiers, label, free text nor protected fields by default', () => {
    const derived = deriveModelContract({ contract: data }, profileOf([0, 1, 1]));
    expect(derived).toMatchObject({
      ok: true,
      target: 'y',
      classes: [0, 1],
      contract: {
        input: { fields: [{ name: 'age' }, { name: 'city', enum: ['Oslo', 'Rome'] }] },
        output: {
          fields: [
            { name: 'label', enum: [0, 1] },
            { name: 'probability', min: 0, max: 1 },
          ],
        },
      },
    });
    if (derived.ok) expect(parseModelContract(derived.contract)).toMatchObject({ ok: true });
  });

  it('names every feature that cannot be used', () => {
    const features = ['age', 'sex', 'id', 'y', 'nothing', 'note', 'age'];
    const choice = { contract: data, features, protectedAttributes: ['who'] };
    const derived = deriveModelContract(choice, profileOf([0, 1]));
    expect(derived).toMatchObject({ ok: false, code: 'FEATURE_UNKNOWN' });
    expect(derived.ok ? [] : derived.errors.map(({ pointer }) => pointer)).toEqual([
      '/protectedAttributes/0',
      ...[1, 2, 3, 4, 5, 6].map((i) => `/features/${i}`),
    ]);
  });

  it('refuses a label with one class and one with three', () => {
    const choice = { contract: data };
    expect(deriveModelContract(choice, profileOf([1, 1]))).toMatchObject({
      code: 'LABEL_SINGLE_CLASS',
    });
    expect(deriveModelContract(choice, profileOf([0, 1, 2]))).toMatchObject({
      code: 'PARAMETER_INVALID',
    });
  });
});
