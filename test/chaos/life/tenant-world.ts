import { createRandom, type Random } from '../../../src/domain/evaluation/random.js';
import { loanApplicants, loanContract, loanTable } from '../../../src/main/tour-model.js';
import type { ApiClient, As, Write } from './api-client.js';
import type { Operation } from './log-lines.js';

/** Who acts for a tenant: a key for each role. */
export const parts = [
  'steward',
  'engineer',
  'config-admin',
  'approver',
  'operator',
  'service',
] as const;
export type Part = (typeof parts)[number];

export interface TenantSetup {
  tenant: string;
  keys: Record<Part, string>;
}

/** The one model and data set of a tenant; both tenants give theirs the same name. */
export const LOAN = 'loan';

/** Rows of a table: training on few is quick, and its figures still pass. */
const ROWS = { train: 1_200, test: 600 } as const;

/** A release whose stages take seconds. */
export const plan = {
  strategy: 'blue_green',
  steps: [],
  tickMs: 250,
  verifyMs: 1_000,
  bakeMs: 500,
  pauseTimeoutMs: 60_000,
};
export const shadowBounds = {
  minPairs: 12,
  minDurationMs: 500,
  maxDurationMs: 60_000,
  maxDisagreementBp: 9_000,
  maxLatencyRatio: 1_000,
  tickMs: 250,
};

const criteria = [
  ['accuracy', 'accuracy', 0.5],
  ['contract-compat', 'contract_compat', 1],
  ['artifact-scan', 'artifact_scan', 1],
].map(([id, metric, threshold]) => ({
  id,
  metric,
  op: 'gte',
  threshold,
  vs: 'absolute',
  severity: 'block',
  minN: 1,
}));

/** One tenant of a run: who acts in it, and what everyone of them needs. */
export class TenantWorld {
  readonly tenant: string;
  readonly api: ApiClient;
  readonly write: Write;
  readonly random: Random;
  readonly #setup: TenantSetup;
  readonly #seed: number;
  #canaries = 0;
  collectionId = '';
  sourceId = '';
  applicants: Awaited<ReturnType<typeof loanApplicants>> = [];

  constructor(setup: TenantSetup, of: { api: ApiClient; write: Write; seed: number }) {
    this.#setup = setup;
    this.tenant = setup.tenant;
    this.api = of.api;
    this.write = of.write;
    this.#seed = of.seed;
    this.random = createRandom(of.seed, `tenant ${setup.tenant}`);
    for (const key of Object.values(setup.keys)) this.#note(key);
  }

  #note(text: string): string {
    this.write({ line: 'canary', tenant: this.tenant, text });
    return text;
  }

  /** A text that no log may hold. */
  canary(): string {
    this.#canaries += 1;
    return this.#note(`canary-${this.tenant}-${this.#seed}-${this.#canaries}-xq`);
  }

  as(part: Part): As {
    return { tenant: this.tenant, key: this.#setup.keys[part] };
  }

  post(part: Part, of: { op: Operation; path: string; body: object; ifMatch?: number }) {
    const { op, path, body, ifMatch } = of;
    const headers = ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` };
    return this.api.insist(this.as(part), { op, method: 'POST', path, body, headers });
  }

  /** A table of the example with other people in it each time, some of them canaries. */
  async #table(name: 'train' | 'test', from: number): Promise<string> {
    const [header = '', ...lines] = (await loanTable(name)).toString('utf8').trim().split('\n');
    const start = from % (lines.length - ROWS[name]);
    const rows = lines.slice(start, start + ROWS[name]);
    const [first = ''] = rows;
    return [header, first.replace(/^[^,]*/, this.canary()), ...rows.slice(1)].join('\n');
  }

  /** A new snapshot of a table. Answers its id. */
  async publish(name: 'train' | 'test', from = 0): Promise<string> {
    const table = await this.#table(name, from);
    const form = () => {
      const made = new FormData();
      made.append('options', JSON.stringify({ source: { format: 'csv', header: true } }));
      made.append('file', new Blob([table]), `${name}.csv`);
      return made;
    };
    const path = `/v1/datasets/${LOAN}/snapshots`;
    const as = this.as('steward');
    const call = { op: 'publish', method: 'POST', path, body: form() } as const;
    const started = await this.api.insist(as, call);
    const id = String(started['id']);
    const done = await this.api.follow(as, { op: 'publish', id, path: `/v1/publications/${id}` });
    return String(done['snapshotId']);
  }

  /** Data set, contract, policy, model, collection and source. */
  async setUp(): Promise<void> {
    this.applicants = await loanApplicants();
    const op = 'set-up';
    const put = (part: Part, path: string, body: object) =>
      this.api.insist(this.as(part), { op, method: 'PUT', path, body });
    const post = (part: Part, path: string, body: object) => this.post(part, { op, path, body });
    await post('config-admin', '/v1/evaluation-policies', { name: LOAN, criteria });
    await put('steward', `/v1/datasets/${LOAN}`, {
      title: 'Loan applications with their outcome',
      purposes: ['credit-scoring'],
      legalBasis: 'legitimate_interest',
      retentionDays: 365,
    });
    await post('steward', `/v1/datasets/${LOAN}/contracts`, loanContract);
    await put('engineer', `/v1/models/${LOAN}`, {
      purpose: 'credit-scoring',
      riskClass: 'medium',
      outcome: { type: 'binary', labels: ['no', 'yes'] },
      policyId: LOAN,
      owner: 'credit-risk',
    });
    const collection = await post('steward', '/v1/collections', {
      name: 'handbook',
      embedder: 'openai',
      aclDefault: ['public'],
      purposes: ['support'],
    });
    this.collectionId = String(collection['id']);
    const source = await post('steward', '/v1/sources', {
      collectionId: this.collectionId,
      name: 'uploads',
      kind: 'upload',
      config: {},
      acl: ['public'],
    });
    this.sourceId = String(source['id']);
  }
}
