import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig, type Config } from '../config.js';
import type { Json } from './tour-client.js';
import {
  freshModelName,
  loanApplicants,
  loanContract,
  loanCriteria,
  loanTable,
  tourPlan,
  tourShadow,
} from './tour-model.js';
import { KnowledgeTour, type Told } from './tour-knowledge.js';
import { gatherPeople, type People } from './tour-people.js';

type Say = (line: string) => void;

const marker = (config: Config): string => join(config.stateDir, 'tour.json');

/** True once a tour went through to its end in this state folder. */
export const tourWasRun = (config: Config): Promise<boolean> =>
  access(marker(config)).then(
    () => true,
    () => false,
  );

const percent = (value: unknown): string => `${(Number(value) * 100).toFixed(1)} %`;
const short = (digest: unknown): string => String(digest).slice(7, 15);

/** The story: data in, two versions trained and judged, one released, the next shadowed and promoted, served, rolled back. */
class Tour {
  readonly #people: People;
  readonly #model: string;
  #train = '';
  #test = '';
  #epoch = 0;
  #decisionId = '';

  constructor(people: People, model: string) {
    this.#people = people;
    this.#model = model;
  }

  async policy(): Promise<Told> {
    const made = await this.#people['config-admin'].post('/v1/evaluation-policies', {
      name: 'loan-default',
      criteria: loanCriteria,
    });
    return {
      what: `config admin wrote evaluation policy loan-default, revision ${String(made.revision)}`,
    };
  }

  async dataset(): Promise<Told> {
    const { steward } = this.#people;
    await steward.put('/v1/datasets/loan-default', {
      title: 'Loan applications with their outcome',
      purposes: ['credit-scoring'],
      legalBasis: 'legitimate_interest',
      retentionDays: 365,
    });
    const contract = await steward.post('/v1/datasets/loan-default/contracts', loanContract);
    return {
      what: `data steward described data set loan-default, contract ${String(contract.id)}`,
    };
  }

  async #publish(table: 'train' | 'test'): Promise<Told & { snapshotId: string }> {
    const { steward } = this.#people;
    const bytes = await loanTable(table);
    const started = await steward.upload(
      '/v1/datasets/loan-default/snapshots',
      { source: { format: 'csv', header: true } },
      { name: `${table}.csv`, bytes },
    );
    const done = await steward.follow(`/v1/publications/${String(started.id)}`, ['PUBLISHED']);
    const snapshotId = String(done.snapshotId);
    const counts = (done.counts ?? {}) as Json;
    return {
      snapshotId,
      what: `published ${table}.csv as snapshot ${short(snapshotId)}: ${String(counts.valid)} rows, ${String(counts.rejected)} rejected`,
      workflowId: `snapshot/default/${String(started.id)}`,
    };
  }

  async publishTrain(): Promise<Told> {
    const told = await this.#publish('train');
    this.#train = told.snapshotId;
    return told;
  }

  async publishTest(): Promise<Told> {
    const told = await this.#publish('test');
    this.#test = told.snapshotId;
    return told;
  }

  async register(): Promise<Told> {
    await this.#people.engineer.put(`/v1/models/${this.#model}`, {
      purpose: 'credit-scoring',
      riskClass: 'medium',
      outcome: { type: 'binary', labels: ['no', 'yes'] },
      policyId: 'loan-default',
      owner: 'credit-risk',
    });
    return { what: `engineer registered model ${this.#model}` };
  }

  async train(kind: 'logistic' | 'gbt'): Promise<Told> {
    const { engineer } = this.#people;
    const started = await engineer.post(`/v1/models/${this.#model}/training-runs`, {
      snapshotId: this.#train,
      evaluationSnapshotId: this.#test,
      target: 'defaulted',
      protectedAttributes: ['sex'],
      trainer: { kind },
      split: { strategy: 'provided' },
      budget: { maxMicroUsd: 0, maxWallClockMs: 600_000, maxGpuMs: 0 },
    });
    const run = await engineer.follow(`/v1/training-runs/${String(started.id)}`, ['REGISTERED']);
    return {
      what: `trained ${kind}: version ${String(run.version)}, artifact ${short(run.artifactDigest)}`,
      workflowId: `training/default/${String(started.id)}`,
    };
  }

  async #evaluate(version: number): Promise<{ id: string; told: Told }> {
    const { engineer } = this.#people;
    const started = await engineer.post(
      `/v1/models/${this.#model}/versions/${version}/evaluations`,
      {
        evaluationSnapshotId: this.#test,
        protectedAttributes: ['sex'],
      },
    );
    const done = await engineer.follow(`/v1/evaluations/${String(started.id)}`, ['COMPLETED']);
    const { metrics } = done.report as {
      metrics: { accuracy: { value: number; interval: { low: number; high: number } } };
    };
    const { value, interval } = metrics.accuracy;
    return {
      id: String(started.id),
      told: {
        what: `evaluated v${version}: ${String(done.verdict)}, accuracy ${percent(value)} [${percent(interval.low)}, ${percent(interval.high)}]`,
        workflowId: `evaluation/default/${String(started.id)}`,
      },
    };
  }

  async #approve(
    version: number,
    evaluationId: string,
    rolloutPlan: object,
  ): Promise<{ approvalId: string; told: Told }> {
    const { engineer, approver } = this.#people;
    const asked = await engineer.post(
      `/v1/models/${this.#model}/versions/${version}/approval-requests`,
      {
        env: 'prod',
        evaluationId,
        rolloutPlan,
        comment: `Version ${version} of the loan model.`,
      },
    );
    const approvalId = String(asked.id);
    const open = await approver.get(`/v1/approvals/${approvalId}`);
    await approver.post(`/v1/approvals/${approvalId}:decide`, {
      decision: 'approve',
      subjectDigest: open.subjectDigest,
      reason: 'The report passes and the plan is careful.',
      acknowledged: open.toAcknowledge,
    });
    return {
      approvalId,
      told: {
        what: `approver signed v${version} for prod, subject ${short(open.subjectDigest)}`,
        workflowId: `approval/default/${approvalId}`,
      },
    };
  }

  async #release(version: number, approvalId: string, plan: object): Promise<string> {
    const started = await this.#people.engineer.post(
      `/v1/models/${this.#model}/envs/prod/releases`,
      { ...plan, version, approvalId },
      // A shadow ends by the traffic that follows: waiting for the release here would wait for nothing.
      { prefer: 'wait=0' },
    );
    return String(started.id);
  }

  #evaluations = new Map<number, string>();
  async evaluate(version: number): Promise<Told> {
    const { id, told } = await this.#evaluate(version);
    this.#evaluations.set(version, id);
    return told;
  }

  #approvals = new Map<number, string>();
  async approve(version: number, plan: object): Promise<Told> {
    const { approvalId, told } = await this.#approve(
      version,
      this.#evaluations.get(version) ?? '',
      plan,
    );
    this.#approvals.set(version, approvalId);
    return told;
  }

  async releaseFirst(): Promise<Told> {
    const id = await this.#release(1, this.#approvals.get(1) ?? '', tourPlan);
    await this.#people.operator.follow(`/v1/releases/${id}`, ['SUCCEEDED']);
    return {
      what: 'released v1 to prod: propagated to every serving process',
      workflowId: `release/default/${id}`,
    };
  }

  async releaseShadowed(): Promise<Told> {
    const plan = { ...tourPlan, shadow: tourShadow };
    const id = await this.#release(2, this.#approvals.get(2) ?? '', plan);
    const path = `/v1/releases/${id}`;
    await this.#people.operator.follow(path, ['SHADOWING', 'PROMOTING', 'SUCCEEDED']);
    const sent = await this.#trafficUntil(async () => {
      const { state } = await this.#people.operator.get(path);
      return state !== 'SHADOWING';
    });
    const done = await this.#people.operator.follow(path, ['SUCCEEDED']);
    const { verdict } = done.shadow as {
      verdict: { checks: { check: string; n: number; value: number }[] };
    };
    const compared = verdict.checks.find(({ check }) => check === 'disagreement');
    return {
      what: `shadowed v2 behind ${sent} live answers (${compared?.n} pairs, ${percent(compared?.value)} differ), then promoted it`,
      workflowId: `release/default/${id}`,
    };
  }

  /** Live traffic, four callers at once, until the shadow has seen enough. */
  async #trafficUntil(isEnough: () => Promise<boolean>): Promise<number> {
    const next = (await loanApplicants()).values();
    let sent = 0;
    let enough = false;
    const caller = async () => {
      for (const { id, inputs } of next) {
        if (enough) return;
        await this.#infer(id, inputs);
        sent += 1;
        if (sent % 20 === 0) enough ||= await isEnough();
      }
    };
    await Promise.all([caller(), caller(), caller(), caller()]);
    return sent;
  }

  #infer(subject: string, inputs: Json): Promise<Json> {
    return this.#people.service.post('/v1/inferences', {
      model: this.#model,
      inputs,
      purpose: 'credit-scoring',
      subject: { key: subject },
    });
  }

  async infer(expected: number): Promise<Told> {
    const [applicant] = await loanApplicants();
    if (applicant === undefined) throw new Error('the example has no applicants');
    const answer = await this.#infer(applicant.id, applicant.inputs);
    const { version } = answer.model as { version: number };
    if (version !== expected) throw new Error(`v${version} answered, v${expected} should have`);
    this.#decisionId = String(answer.decisionId);
    const output = answer.output as { label?: unknown };
    return {
      what: `service asked about one applicant: v${version} says ${JSON.stringify(output.label ?? output)} (confidence ${percent(answer.confidence)}, ${Number(answer.latencyMs).toFixed(1)} ms)`,
      ...(typeof answer.workflowId === 'string' ? { workflowId: answer.workflowId } : {}),
    };
  }

  async provenance(): Promise<Told> {
    const chain = await this.#people.auditor.get(`/v1/decisions/${this.#decisionId}/provenance`);
    return { what: `provenance of that decision: ${describeChain(chain)}` };
  }

  async feedback(): Promise<Told> {
    const [applicant] = await loanApplicants();
    await this.#people.service.post('/v1/feedback', {
      decisionId: this.#decisionId,
      type: 'label',
      value: applicant?.label ?? '',
      source: { kind: 'system', id: 'loan-ledger' },
      observedAt: new Date().toISOString(),
    });
    return { what: `the loan's outcome came back: ${applicant?.label}` };
  }

  async rollBack(): Promise<Told> {
    const { operator } = this.#people;
    const routing = await operator.get(`/v1/models/${this.#model}/envs/prod/routing`);
    this.#epoch = Number(routing.epoch);
    const started = await operator.post(
      `/v1/models/${this.#model}/envs/prod/rollbacks`,
      { reason: 'The tour shows how.' },
      { 'if-match': `"${this.#epoch}"` },
    );
    await operator.follow(`/v1/releases/${String(started.id)}`, ['SUCCEEDED']);
    return {
      what: 'operator rolled back to v1 with one call',
      workflowId: `release/default/${String(started.id)}`,
    };
  }

  async audit(): Promise<Told> {
    const verdict = await this.#people.auditor.get('/v1/audit:verify');
    if (verdict.status !== 'intact')
      throw new Error(`the audit chain is ${String(verdict.status)}`);
    return { what: `auditor verified the audit chain: ${String(verdict.size)} entries, intact` };
  }
}

const describeChain = (chain: Json): string => Object.keys(chain).join(' → ');

function story(tour: Tour, knowledge: KnowledgeTour): [string, () => Promise<Told>][] {
  const shadowPlan = { ...tourPlan, shadow: tourShadow };
  return [
    ['policy', () => tour.policy()],
    ['data set', () => tour.dataset()],
    ['training data', () => tour.publishTrain()],
    ['test data', () => tour.publishTest()],
    ['model', () => tour.register()],
    ['train v1', () => tour.train('logistic')],
    ['evaluate v1', () => tour.evaluate(1)],
    ['approve v1', () => tour.approve(1, tourPlan)],
    ['release v1', () => tour.releaseFirst()],
    ['train v2', () => tour.train('gbt')],
    ['evaluate v2', () => tour.evaluate(2)],
    ['approve v2', () => tour.approve(2, shadowPlan)],
    ['shadow and promote v2', () => tour.releaseShadowed()],
    ['infer', () => tour.infer(2)],
    ['provenance', () => tour.provenance()],
    ['feedback', () => tour.feedback()],
    ['roll back', () => tour.rollBack()],
    ['infer again', () => tour.infer(1)],
    ['documents', () => knowledge.ingest()],
    ['ask', () => knowledge.ask()],
    ['edit', () => knowledge.edit()],
    ['delete', () => knowledge.remove()],
    ['audit', () => tour.audit()],
  ];
}

/**
 * One model's life through the public API, each line with what it took and its run in the Temporal Web UI.
 * @returns false where a step failed; what it printed says which and why
 */
export async function runTour(config: Config, say: Say): Promise<boolean> {
  say('');
  say('Tour: one model’s life, and a folder of documents');
  const people = await gatherPeople(config.cli.apiUrl, config.stateDir);
  say(`  keys by role: ${join(config.stateDir, 'keys.json')} (0600)`);
  const tour = new Tour(people, await freshModelName(people));
  const knowledge = new KnowledgeTour(people, config.stateDir);
  for (const [name, work] of story(tour, knowledge)) {
    const since = performance.now();
    try {
      const { what, workflowId } = await work();
      say(`  ✓ ${((performance.now() - since) / 1000).toFixed(1).padStart(5)} s  ${what}`);
      if (workflowId !== undefined) {
        say(
          `            ${config.temporal.uiUrl}/namespaces/${config.temporal.namespace}/workflows/${encodeURIComponent(workflowId)}`,
        );
      }
    } catch (error) {
      say(
        `  ✗ ${((performance.now() - since) / 1000).toFixed(1).padStart(5)} s  ${name}: ${error instanceof Error ? error.message : String(error)}`,
      );
      return false;
    }
  }
  await writeFile(marker(config), JSON.stringify({ completedAt: new Date().toISOString() }));
  return true;
}

if (import.meta.main) {
  const ok = await runTour(loadConfig(), (line) => console.log(line));
  process.exitCode = ok ? 0 : 1;
}
