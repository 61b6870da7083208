import { readFile } from 'node:fs/promises';
import { projectFolder } from './project-folder.js';
import type { Json } from './tour-client.js';
import type { People } from './tour-people.js';

/** The example's data set contract: what each column means and may be used for. */
export const loanContract = {
  fields: [
    { name: 'applicant_id', type: 'string', nullable: false, personal: 'identifier' },
    { name: 'age', type: 'integer', nullable: false, min: 18, max: 120 },
    {
      name: 'sex',
      type: 'categorical',
      nullable: false,
      enum: ['female', 'male'],
      personal: 'protected',
    },
    {
      name: 'employment',
      type: 'categorical',
      nullable: false,
      enum: ['salaried', 'self-employed', 'part_time', 'unemployed'],
    },
    {
      name: 'purpose',
      type: 'categorical',
      nullable: false,
      enum: ['home', 'car', 'education', 'business'],
    },
    { name: 'income', type: 'number', nullable: false, min: 0, unit: 'USD/year' },
    { name: 'amount', type: 'number', nullable: false, min: 0, unit: 'USD' },
    { name: 'term_months', type: 'integer', nullable: false, min: 1, max: 480 },
    { name: 'prior_defaults', type: 'integer', nullable: false, min: 0, max: 100 },
    { name: 'defaulted', type: 'categorical', nullable: false, enum: ['no', 'yes'] },
  ],
  label: { field: 'defaulted', positive: 'yes' },
  keyFields: ['applicant_id'],
  subjectKeyField: 'applicant_id',
};

/** Criteria of the example's own policy: the floor is what a useful loan model has to reach. */
export const loanCriteria = [
  {
    id: 'accuracy',
    metric: 'accuracy',
    op: 'gte',
    threshold: 0.75,
    vs: 'absolute',
    severity: 'block',
  },
  {
    id: 'accuracy-vs-champion',
    metric: 'accuracy',
    op: 'gte',
    vs: 'champion',
    margin: 0.02,
    severity: 'block',
  },
  {
    id: 'contract-compat',
    metric: 'contract_compat',
    op: 'gte',
    threshold: 1,
    vs: 'absolute',
    severity: 'block',
    minN: 1,
  },
  {
    id: 'leak',
    metric: 'leak_share',
    op: 'lte',
    threshold: 0.01,
    vs: 'absolute',
    severity: 'block',
    minN: 1,
  },
  {
    id: 'artifact-scan',
    metric: 'artifact_scan',
    op: 'gte',
    threshold: 1,
    vs: 'absolute',
    severity: 'block',
    minN: 1,
  },
  {
    id: 'parity',
    metric: 'demographic_parity_difference',
    op: 'lte',
    threshold: 0.1,
    vs: 'absolute',
    severity: 'warn',
  },
];

/** A careful plan with durations in seconds; a tour cannot wait for a day of traffic. */
export const tourPlan = {
  strategy: 'blue_green',
  steps: [],
  tickMs: 250,
  verifyMs: 1_000,
  bakeMs: 1_000,
  pauseTimeoutMs: 60_000,
};

/** The shadow stage of the second release. Loose bounds: at 150 pairs a 5 % bound cannot be decided yet. */
export const tourShadow = {
  minPairs: 50,
  minDurationMs: 1_000,
  maxDurationMs: 90_000,
  maxDisagreementBp: 2_500,
  maxLatencyRatio: 50,
  tickMs: 250,
};

/** Reads a table of the example. */
export const loanTable = (name: 'train' | 'test'): Promise<Buffer> =>
  readFile(projectFolder(`examples/loan-default/${name}.csv`));

/** Applicants of the test table, as a service would send them. */
export async function loanApplicants(): Promise<{ id: string; inputs: Json; label: string }[]> {
  const [header = '', ...lines] = (await loanTable('test')).toString('utf8').trim().split('\n');
  const names = header.split(',');
  const numeric = new Set(['age', 'income', 'amount', 'term_months', 'prior_defaults']);
  return lines.map((line) => {
    const cells = new Map(line.split(',').map((cell, at) => [names[at] ?? '', cell]));
    const inputs: Json = {};
    for (const [name, cell] of cells) {
      if (name === 'applicant_id' || name === 'sex' || name === 'defaulted') continue;
      inputs[name] = numeric.has(name) ? Number(cell) : cell;
    }
    return { id: cells.get('applicant_id') ?? '', inputs, label: cells.get('defaulted') ?? '' };
  });
}

/** A model name that is not taken: a repeated tour tells the story again from its beginning. */
export async function freshModelName(people: People): Promise<string> {
  const { items } = (await people.engineer.get('/v1/models?limit=200')) as {
    items: { name: string }[];
  };
  const taken = new Set(items.map(({ name }) => name));
  for (let n = 1; ; n++) {
    const name = n === 1 ? 'loan-default' : `loan-default-${n}`;
    if (!taken.has(name)) return name;
  }
}
