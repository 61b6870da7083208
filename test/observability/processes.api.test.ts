import { loanContract, terms } from '../datasets/datasets-world.js';
import { eventually } from '../support/eventually.js';
import { readText } from '../support/source-tree.js';
import { formatApiKey, parseApiKey } from '../../src/domain/access/api-key.js';
import { coreMetrics } from '../../src/main/core-metrics.js';
import { emittedSeries, namesIn, seriesOf } from './metric-names.js';
import { PEPPER_DAYS, plantFacts } from './planted-facts.js';
import { startProcessesWorld, type ProcessesWorld } from './processes-world.js';
import type { CollectedSpan } from './span-collector.js';

// One upload, followed through two processes and a Temporal server: by the request's id, and by its trace.

const CANARY = 'canary-7f3e1c';
const ROWS = `id,income,outcome\n${Array.from({ length: 40 }, (_, i) => `${CANARY}-${i},${i},${i % 2 === 0 ? 'good' : 'bad'}`).join('\n')}\n`;
let world: ProcessesWorld;
let requestId: string;
let workflowId: string;

beforeAll(async () => {
  world = await startProcessesWorld(plantFacts);
  const made = await world.call('PUT /v1/datasets/loans', terms);
  expect(made).toMatchObject({ status: 201 });
  expect(await world.call('POST /v1/datasets/loans/contracts', loanContract)).toMatchObject({
    status: 201,
  });
  const options = { source: { format: 'csv' } };
  const started = await world.upload('/v1/datasets/loans/snapshots', options, ROWS);
  expect(started).toMatchObject({ status: 202 });
  requestId = started.headers.get('x-request-id') ?? '';
  workflowId = String(started.body['workflowId']);
  await world.temporal.client.workflow.getHandle(workflowId).result();
}, 400_000);
afterAll(() => world.stop(), 60_000);

const entries = async (): Promise<Record<string, unknown>[]> =>
  (await world.database.asSuperuser('select entry from audit_entry order by seq')).map(
    ({ entry }) => JSON.parse(String(entry)) as Record<string, unknown>,
  );

describe('the id of a request', () => {
  it('is that of the answer, of its problem, and of the line that the API logs', async () => {
    expect(requestId).toMatch(/^req_/);
    const refused = await world.call('POST /v1/datasets/loans/contracts', { fields: 'none' });
    expect(refused.body['requestId']).toBe(refused.headers.get('x-request-id'));
    await eventually(() => {
      const lines = world.log().filter(({ msg }) => msg === 'request');
      expect(lines).toContainEqual(
        expect.objectContaining({
          requestId,
          operation: 'snapshots.create',
          status: 202,
          tenant: 'observed',
          principalId: world.caller.principalId,
        }),
      );
      expect(lines).toContainEqual(
        expect.objectContaining({ requestId: refused.body['requestId'], status: 400 }),
      );
    });
  });

  it('is in the memo of the workflow that it started', async () => {
    const { memo } = await world.temporal.client.workflow.getHandle(workflowId).describe();
    expect(memo).toEqual({ requestId });
  });

  it('is in the log line of every activity of that workflow, and in no other', async () => {
    await eventually(() => {
      const lines = world.log().filter((line) => line.msg === 'activity');
      const own = lines.filter((line) => line['workflowId'] === workflowId);
      expect(own.length).toBeGreaterThan(3);
      expect(own.map((line) => line['requestId'])).toEqual(own.map(() => requestId));
      expect(own[0]).toMatchObject({ activity: 'authoriseStart', outcome: 'ok', attempt: 1 });
      expect(lines.filter((line) => line['requestId'] === requestId)).toEqual(own);
    });
  });

  it('is in the audit entries of the request and of what the workflow changed because of it', async () => {
    const own = (await entries()).filter((entry) => entry['requestId'] === requestId);
    const byWorkflow = own.filter((entry) => entry['workflowId'] === workflowId);
    expect(own.length).toBeGreaterThan(byWorkflow.length);
    expect(byWorkflow.length).toBeGreaterThan(0);
    const others = (await entries()).filter((entry) => entry['workflowId'] === workflowId);
    expect(others).toEqual(byWorkflow);
  });
});

describe('the trace of a request', () => {
  const named = (name: string): CollectedSpan => {
    const found = world.collector.spans.filter(
      (span) =>
        span.name === name && (span.attributes['temporalWorkflowId'] ?? workflowId) === workflowId,
    );
    if (found[0] === undefined)
      throw new Error(`${name} among ${world.collector.spans.map((span) => span.name).join(', ')}`);
    return found[0];
  };

  it('[D40] is one from the request through the workflow to its activities, each span under its cause', async () => {
    await eventually(
      () => {
        const request = world.collector.spans.find(
          (span) => span.attributes['anneal.request_id'] === requestId,
        );
        const start = named('StartWorkflow:publishSnapshot');
        const run = named('RunWorkflow:publishSnapshot');
        const scheduled = world.collector.spans.find(
          (span) =>
            span.name === 'StartActivity:authoriseStart' && span.parentSpanId === run.spanId,
        );
        const executed = world.collector.spans.find(
          (span) =>
            span.name === 'RunActivity:authoriseStart' && span.parentSpanId === scheduled?.spanId,
        );
        expect(request).toMatchObject({ service: 'anneal-api', name: 'snapshots.create' });
        expect(start).toMatchObject({ service: 'anneal-api', parentSpanId: request?.spanId });
        expect(run).toMatchObject({ service: 'anneal-worker', parentSpanId: start.spanId });
        expect(scheduled).toMatchObject({ service: 'anneal-worker' });
        expect(executed).toMatchObject({ service: 'anneal-worker' });
        const traces = [request, start, run, scheduled, executed].map((span) => span?.traceId);
        expect(new Set(traces).size).toBe(1);
      },
      { timeoutMs: 20_000 },
    );
  });

  it('is named by the lines that both processes log', async () => {
    const { traceId } = named('StartWorkflow:publishSnapshot');
    await eventually(() => {
      const lines = world.log().filter((line) => line['requestId'] === requestId);
      expect(new Set(lines.map((line) => line.process))).toEqual(new Set(['api', 'worker']));
      expect(new Set(lines.map((line) => line['traceId']))).toEqual(new Set([traceId]));
    });
  });

  it('holds ids, names and counts: no input, no address, no key, no SQL', () => {
    const allowed =
      /^(anneal\.(operation|request_id)|attempt|db\.(namespace|operation\.name|system|system\.name)|exception\.type|express\.type|http\.(method|request\.method|response\.status_code|route|status_code)|namespace|runId|run_id|taskQueue|temporal(ActivityId|UpdateId|WorkflowId)|workflowId|workflowType)$/;
    const names = new Set(world.collector.spans.flatMap((span) => Object.keys(span.attributes)));
    expect(names.size).toBeGreaterThan(5);
    expect([...names].filter((name) => !allowed.test(name))).toEqual([]);
    for (const text of [CANARY, world.caller.key, 'income', 'select ', 'insert into'])
      expect(world.collector.text().includes(text)).toBe(false);
  });
});

describe('what the processes show to Prometheus', () => {
  it('is what docs/metrics.md lists, name by name, and Temporal core’s series are there under load', async () => {
    // A workflow that no worker knows fails its task: that series begins with its first event.
    await world.temporal.client.workflow.start('unknownToEveryWorker', {
      workflowId: 'unknown',
      taskQueue: 'orchestration',
      args: [],
    });
    const documented = namesIn(readText('docs/metrics.md'));
    await eventually(
      async () => {
        const [api, worker, core] = await Promise.all([
          world.scrape('api'),
          world.scrape('worker'),
          world.scrape('temporal core'),
        ]);
        const own = (text: string) =>
          [...seriesOf(text).declared].filter((name) => name.startsWith('anneal_')).sort();
        const listed = documented.filter((name) => name.startsWith('anneal_')).sort();
        expect(own(api)).toEqual(listed);
        expect(own(worker)).toEqual(listed);
        const shown = seriesOf(core).declared;
        const missing = coreMetrics.filter(({ name }) => !shown.has(name));
        expect(missing.filter(({ onlyInTrouble }) => onlyInTrouble !== true)).toEqual([]);
        expect(shown).toContain('temporal_workflow_task_execution_failed');
        const reliedOn = coreMetrics.map(({ name }) => name);
        expect(documented.filter((name) => name.startsWith('temporal_')).sort()).toEqual(reliedOn);
      },
      { timeoutMs: 40_000 },
    );
  });

  it('has a figure for everything that this installation can measure', async () => {
    await eventually(
      async () => {
        const scrapes = await Promise.all([world.scrape('api'), world.scrape('worker')]);
        const sampled = new Set(scrapes.flatMap((text) => [...seriesOf(text).sampled]));
        const silent = [...emittedSeries().keys()].filter(
          (name) => name.startsWith('anneal_') && !sampled.has(name),
        );
        // Nothing was inferred, ingested or asked here: these begin with the first of it.
        expect(silent.filter((name) => !/^anneal_(attempts|etl|retrieval)_/.test(name))).toEqual(
          [],
        );
      },
      { timeoutMs: 40_000 },
    );
    expect(await world.scrape('worker')).toMatch(/anneal_ready\{check="workers"\} 1\n/);
    expect(await world.scrape('api')).toMatch(
      /anneal_requests_total\{operation="snapshots.create",status="202"\} 1\n/,
    );
  });

  it('names neither tenant nor id', async () => {
    const text = `${await world.scrape('api')}${await world.scrape('worker')}`;
    for (const secret of ['observed', requestId, workflowId, world.caller.principalId])
      expect(text.includes(secret)).toBe(false);
  });
});

/** The sample of a series, by its name and labels as Prometheus shows them. */
const sample = (scrape: string, series: string): number | undefined => {
  const line = scrape.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};

describe('a fact that somebody is paged for', () => {
  it('reaches the series that the alert reads: starts, wakes, inferences, divergences, tasks, keys, WAL', async () => {
    await eventually(
      async () => {
        const text = await world.scrape('worker');
        const read = (series: string) => sample(text, series) ?? NaN;
        // Ages grow while the test waits: each is told from those of the others.
        const minutes = (series: string) => Math.floor(read(series) / 60);
        expect(minutes('anneal_outbox_oldest_seconds{kind="start"}')).toBeGreaterThanOrEqual(20);
        expect(minutes('anneal_outbox_oldest_seconds{kind="wake"}')).toBeGreaterThanOrEqual(10);
        expect(minutes('anneal_outbox_oldest_seconds{kind="wake"}')).toBeLessThan(20);
        expect(read('anneal_unknown_effects')).toBe(1);
        expect(minutes('anneal_unknown_effects_oldest_seconds')).toBeGreaterThanOrEqual(60);
        expect(minutes('anneal_unknown_effects_oldest_seconds')).toBeLessThan(80);
        expect(read('anneal_decision_rows_missing')).toBe(1);
        expect(read('anneal_reconciler_divergences{kind="EFFECT_IN_DOUBT"}')).toBe(1);
        expect(read('anneal_reconciler_divergences{kind="ORPHANED_RUN"}')).toBe(0);
        expect(read('anneal_backlog_tasks{queue="training"}')).toBe(1);
        expect(read('anneal_backlog_age_seconds{queue="training"}')).toBeGreaterThan(5);
        const days = read('anneal_key_age_seconds{key="pepper"}') / 86_400;
        expect(Math.floor(days)).toBe(PEPPER_DAYS);
        expect(read('anneal_wal_unshipped_seconds')).toBeGreaterThan(5);
        expect(read('anneal_wal_unshipped_seconds')).toBeLessThan(600);
        expect(text).toContain('\nanneal_backup_age_seconds +Inf\n');
        expect(text).toContain('\nanneal_backup_unrehearsed_seconds +Inf\n');
      },
      { timeoutMs: 90_000 },
    );
  }, 120_000);

  it('reaches the series of the API: a credential that proves nobody, by why, and a role that decides over others', async () => {
    const known = parseApiKey(world.caller.key);
    const wrong = formatApiKey('prod', known?.keyId ?? '', new Uint8Array(32));
    const before = await world.scrape('api');
    for (const key of [wrong, wrong, 'no key'])
      expect(await world.call('GET /v1/models', undefined, { key })).toMatchObject({ status: 401 });
    const admin = await world.createCaller(['tenant-admin']);
    const person = { kind: 'person', name: 'somebody new', roles: ['approver', 'auditor'] };
    const made = await world.call('POST /v1/principals', person, { key: admin.key });
    expect(made).toMatchObject({ status: 201 });
    const after = await world.scrape('api');
    const more = (series: string) =>
      (sample(after, series) ?? NaN) - (sample(before, series) ?? NaN);
    expect(more('anneal_authn_failures_total{reason="wrong-secret"}')).toBe(2);
    expect(more('anneal_authn_failures_total{reason="malformed"}')).toBe(1);
    expect(more('anneal_authn_failures_total{reason="unknown"}')).toBe(0);
    expect(more('anneal_privileged_grants_total{role="approver"}')).toBe(1);
    expect(more('anneal_privileged_grants_total{role="tenant-admin"}')).toBe(0);
  });
});
