import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CompleteAsyncError } from '@temporalio/activity';
import type { DatasetsDeps } from '../../src/activities/datasets/index.js';
import { createPublicationStore } from '../../src/adapters/postgres/datasets-publications.js';
import { mergeRuns } from '../../src/adapters/tabular/merge-runs.js';
import { readParts } from '../../src/adapters/tabular/read-part.js';
import { stageRows } from '../../src/adapters/tabular/stage-rows.js';
import { defaultPublicationLimits } from '../../src/domain/datasets/contract.js';
import { snapshotFactsSchema } from '../../src/domain/training/snapshot-facts.js';
import { eventually } from '../support/eventually.js';
import { connectTestTemporal, type TestTemporal } from '../support/temporal.js';
import { describeWithData, testDataDir } from '../support/test-data.js';
import {
  createDatasetsWorld,
  csv,
  describeLoans,
  loans,
  type Answer,
  type DatasetsWorld,
} from './datasets-world.js';
import { adultContract, tokenise } from './stage-table.js';

const limits = {
  ...defaultPublicationLimits,
  heartbeatTimeoutMs: 2_000,
  retryIntervalMs: 50,
  partRows: 5_000,
  maxListedRejects: 2_000,
};

describe('publishSnapshot', () => {
  let temporal: TestTemporal;
  let world: DatasetsWorld;
  let workers: { stop: () => Promise<void> };
  /** What the next publications run with instead of the store's own stages. */
  let stages: Partial<DatasetsDeps> = {};
  let tenant: string;
  const change = { limits: { ...limits } };

  beforeAll(async () => {
    temporal = await connectTestTemporal();
    world = await createDatasetsWorld({ temporal, change });
    workers = await temporal.startWorkers(
      world.activities({
        stageRows: (input, deps) =>
          stages.stageRows?.(input, deps) ?? stageRows(world.artifacts, input, deps),
        mergeRuns: (input, deps) =>
          stages.mergeRuns?.(input, deps) ?? mergeRuns(world.artifacts, input, deps),
      }),
    );
  }, 90_000);
  afterAll(async () => {
    await workers.stop();
    await world.close();
    await temporal.stop();
  });
  beforeEach(() => {
    stages = {};
    change.limits.quarantineMs = limits.quarantineMs;
    tenant = world.newTenant();
  });

  const read = async (id: unknown): Promise<Answer['body']> =>
    (await world.send('GET', `/v1/publications/${String(id)}`, { tenant })).body;
  const isIn = (id: unknown, state: string): Promise<Answer['body']> =>
    eventually(
      async () => {
        const found = await read(id);
        expect(found['state']).toBe(state);
        return found;
      },
      { timeoutMs: 30_000 },
    );
  const publish = async (file: string, options: object = csv): Promise<Answer> =>
    world.upload('loans', { tenant, waitS: 30 }, { options, file });
  const scopeOf = (id: unknown) => world.artifacts.listStaged(tenant, String(id));

  it('publishes a file as a snapshot whose id depends on its rows alone', async () => {
    const contractId = await describeLoans(world, tenant);
    const done = await publish(loans(40));
    expect(done).toMatchObject({
      status: 200,
      body: { state: 'PUBLISHED', counts: { total: 40, valid: 40, rejected: 0, rules: [] } },
    });
    const { id, snapshotId } = done.body;
    const path = `/v1/snapshots/${String(snapshotId)}`;
    const { body: snapshot } = await world.send('GET', path, { tenant });
    expect(snapshot).toMatchObject({
      id: snapshotId,
      dataset: 'loans',
      publicationId: id,
      contractId,
      state: 'LIVE',
      rows: 40,
      rejected: 0,
      manifest: { purposes: ['lending', 'research'], legalBasis: 'contract', consentAsOf: null },
    });
    expect(snapshotFactsSchema.parse(snapshot['manifest']).parts).toHaveLength(1);
    expect(await scopeOf(id)).toEqual([]);

    const [head, ...rows] = loans(40).trim().split('\n');
    const again = await publish([head, ...rows.reverse(), ''].join('\n'));
    expect(again.body).toMatchObject({ state: 'PUBLISHED', snapshotId });
    expect(again.body['id']).not.toBe(id);
    const { body: listed } = await world.send('GET', '/v1/snapshots?dataset=loans', { tenant });
    expect(listed['items']).toMatchObject([{ id: snapshotId, publicationId: id }]);
    const other = await publish(loans(41));
    const dataset = await world.send('GET', '/v1/datasets/loans', { tenant });
    expect(dataset.body).toMatchObject({ currentSnapshotId: other.body['snapshotId'], epoch: 2 });
  }, 60_000);

  it('keeps no identifier: rows hold pseudonyms, and the index says which part is about whom', async () => {
    await describeLoans(world, tenant);
    const file = `id,income,outcome\nann,1,good\nann,2,bad\nbob,3,good\n`;
    const { body } = await publish(file);
    const index = await world.database.asSuperuser(
      `select subject_token, part, rows from snapshot_subject
       where tenant_id = $1 and snapshot_id = $2 order by rows desc`,
      [tenant, body['snapshotId']],
    );
    expect(index).toEqual([
      { subject_token: tokenise('ann'), part: 0, rows: 2 },
      { subject_token: tokenise('bob'), part: 0, rows: 1 },
    ]);
    const path = `/v1/snapshots/${String(body['snapshotId'])}`;
    const { body: snapshot } = await world.send('GET', path, { tenant });
    const { parts } = snapshotFactsSchema.parse(snapshot['manifest']);
    for await (const rows of readParts(world.artifacts, parts))
      expect(JSON.stringify(rows)).not.toMatch(/ann|bob/);
    const [edge] = await world.database.asSuperuser(
      'select from_node, relation, to_node from lineage_edge where tenant_id = $1',
      [tenant],
    );
    const source = body['source'] as { digest: string };
    expect(edge).toEqual({
      from_node: `snapshot/${String(body['snapshotId'])}`,
      relation: 'derived_from',
      to_node: `source/${source.digest}`,
    });
  }, 60_000);

  it('quarantines a batch above its limit, names row and rule, and publishes the valid rows on release', async () => {
    await describeLoans(world, tenant);
    const held = await publish(loans(100, 3));
    expect(held).toMatchObject({
      status: 200,
      body: {
        state: 'QUARANTINED',
        counts: {
          total: 100,
          valid: 97,
          rejected: 3,
          rules: [{ field: 'income', rule: 'min', severity: 'reject', count: 3 }],
        },
      },
    });
    const path = `/v1/publications/${String(held.body['id'])}`;
    const rows = await world.send('GET', `${path}/quarantine?limit=2&rule=min`, { tenant });
    expect(rows.body['items']).toMatchObject([
      { row: 1, field: 'income', rule: 'min' },
      { row: 2, field: 'income', rule: 'min' },
    ]);
    const cursor = String(rows.body['nextCursor']);
    const more = await world.send('GET', `${path}/quarantine?limit=2&rule=min&cursor=${cursor}`, {
      tenant,
    });
    expect(more.body).toMatchObject({ items: [{ row: 3 }] });
    const engineer = { tenant, roles: ['ml-engineer' as const] };
    expect((await world.send('GET', `${path}/quarantine`, engineer)).status).toBe(403);

    const body = { reason: 'three known refunds' };
    const released = await world.send('POST', `${path}:release`, { tenant, waitS: 30, body });
    expect(released).toMatchObject({
      status: 200,
      body: { state: 'PUBLISHED', decision: { kind: 'release', reason: body.reason } },
    });
    const snapshot = await world.send(
      'GET',
      `/v1/snapshots/${String(released.body['snapshotId'])}`,
      { tenant },
    );
    expect(snapshot.body).toMatchObject({ rows: 97, rejected: 3 });
    const twice = await world.send('POST', `${path}:release`, { tenant, body });
    expect(twice).toMatchObject({ status: 409, body: { code: 'ILLEGAL_TRANSITION' } });
  }, 60_000);

  it('discards a batch on a steward’s word and drops its staged rows', async () => {
    await describeLoans(world, tenant);
    const held = await publish(loans(10, 5));
    const path = `/v1/publications/${String(held.body['id'])}`;
    expect((await scopeOf(held.body['id'])).length).toBeGreaterThan(0);
    const body = { reason: 'wrong export' };
    const done = await world.send('POST', `${path}:discard`, { tenant, waitS: 30, body });
    expect(done.body).toMatchObject({ state: 'DISCARDED', decision: { kind: 'discard' } });
    await eventually(async () => expect(await scopeOf(held.body['id'])).toEqual([]));
    const { body: listed } = await world.send('GET', '/v1/snapshots', { tenant });
    expect(listed['items']).toEqual([]);
  }, 60_000);

  it('discards a batch that nobody decided on in time, by the database’s clock', async () => {
    change.limits.quarantineMs = 5_000;
    await describeLoans(world, tenant);
    const held = await publish(loans(10, 5));
    expect(held.body).toMatchObject({ state: 'QUARANTINED' });
    const done = await isIn(held.body['id'], 'DISCARDED');
    const waited =
      Date.parse(String(done['endedAt'])) - Date.parse(String(done['quarantineExpiresAt']));
    expect(waited).toBeGreaterThanOrEqual(0);
    expect(done).toMatchObject({ decision: { kind: 'expire' } });
    const path = `/v1/publications/${String(held.body['id'])}:release`;
    const late = await world.send('POST', path, { tenant, body: { reason: 'late' } });
    expect(late).toMatchObject({ status: 409, body: { from: 'DISCARDED' } });
  }, 60_000);

  it('lets another steward than the uploader decide at high risk, and releases no empty batch', async () => {
    await describeLoans(world, tenant, { terms: { riskClass: 'high' } });
    const held = await publish(loans(10, 10));
    const path = `/v1/publications/${String(held.body['id'])}`;
    const body = { reason: 'seen' };
    const own = await world.send('POST', `${path}:release`, { tenant, body });
    expect(own).toMatchObject({ status: 403, body: { code: 'SELF_APPROVAL' } });
    const other = { tenant, subject: 'prn_other', body };
    const empty = await world.send('POST', `${path}:release`, other);
    expect(empty).toMatchObject({ status: 422, body: { code: 'DATASET_EMPTY' } });
    expect((await world.send('POST', `${path}:discard`, { tenant, body })).status).toBe(403);
    const done = await world.send('POST', `${path}:discard`, { ...other, waitS: 30 });
    expect(done.body).toMatchObject({ state: 'DISCARDED', decision: { by: 'prn_other' } });
    const refused = await world.database.asSuperuser(
      `select entry::jsonb -> 'after' ->> 'code' as code from audit_entry
       where tenant_id = $1 and entry::jsonb ->> 'action' = 'request.refused' order by seq`,
      [tenant],
    );
    expect(refused.map(({ code }) => code)).toEqual([
      'SELF_APPROVAL',
      'DATASET_EMPTY',
      'SELF_APPROVAL',
    ]);
  }, 60_000);

  it('gives the same snapshot when the worker is lost in the middle of the rows', async () => {
    await describeLoans(world, tenant);
    const undisturbed = await publish(loans(3_000));
    let attempts = 0;
    stages = {
      stageRows: (input, deps) => {
        attempts++;
        if (attempts > 1) return stageRows(world.artifacts, input, deps);
        const lost = new AbortController();
        const half = { ...deps, heartbeat: () => lost.abort(), signal: lost.signal };
        // What the server sees of a lost worker: no answer, and no heartbeat any more.
        return stageRows(world.artifacts, input, half).catch(() => {
          throw new CompleteAsyncError();
        });
      },
    };
    const [head, ...rows] = loans(3_000).trim().split('\n');
    const file = [head, ...rows.reverse(), ''].join('\n');
    const disturbed = await publish(file);
    // Lost, repeated, and found finished by the stage that publishes.
    expect(attempts).toBe(3);
    expect(disturbed.body).toMatchObject({
      state: 'PUBLISHED',
      snapshotId: undisturbed.body['snapshotId'],
    });
  }, 60_000);

  it('publishes nothing after a cancellation, and leaves no staged rows', async () => {
    await describeLoans(world, tenant);
    let reached: (() => void) | undefined;
    const inside = new Promise<void>((resolve) => {
      reached = resolve;
    });
    stages = {
      mergeRuns: async (input, deps) => {
        reached?.();
        await new Promise<void>((resolve) => {
          deps.signal?.addEventListener('abort', () => resolve());
        });
        return mergeRuns(world.artifacts, input, deps);
      },
    };
    const sent = await world.upload('loans', { tenant }, { options: csv, file: loans(50) });
    await inside;
    const path = `/v1/publications/${String(sent.body['id'])}:cancel`;
    const done = await world.send('POST', path, {
      tenant,
      waitS: 30,
      body: { reason: 'wrong file' },
    });
    expect(done.body).toMatchObject({ state: 'CANCELLED', cancel: { reason: 'wrong file' } });
    await eventually(async () => expect(await scopeOf(sent.body['id'])).toEqual([]));
    expect((await world.send('GET', '/v1/snapshots', { tenant })).body['items']).toEqual([]);
    expect(await world.send('POST', path, { tenant, body: {} })).toMatchObject({
      status: 409,
      body: { from: 'CANCELLED' },
    });
  }, 60_000);

  it('ends FAILED with the code where the file turns out unreadable, and does not retry', async () => {
    await describeLoans(world, tenant);
    const columns = loans(1_500) + '"never closed,1,good\n';
    const done = await publish(columns);
    expect(done.body).toMatchObject({
      state: 'FAILED',
      failure: { code: 'DATASET_UNREADABLE' },
    });
    const handle = temporal.client.workflow.getHandle(
      `snapshot/${tenant}/${String(done.body['id'])}`,
    );
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'DATASET_UNREADABLE' } });
  }, 60_000);

  it('does not bring back rows that were withdrawn', async () => {
    await describeLoans(world, tenant);
    const first = await publish(loans(10));
    await world.database.asSuperuser(
      `update snapshot set state = 'TOMBSTONED' where tenant_id = $1`,
      [tenant],
    );
    const again = await publish(loans(10));
    expect(again.body).toMatchObject({ state: 'FAILED', failure: { code: 'SNAPSHOT_NOT_LIVE' } });
    const path = `/v1/snapshots/${String(first.body['snapshotId'])}`;
    expect((await world.send('GET', path, { tenant })).body).toMatchObject({ state: 'TOMBSTONED' });
  }, 60_000);

  it('refuses a run that nobody asked for', async () => {
    await describeLoans(world, tenant);
    const sent = await publish(loans(5));
    const start = world.started.at(-1);
    const handle = await temporal.client.workflow.start('publishSnapshot', {
      workflowId: `snapshot/${tenant}/pub_01JZ8Q4T5V6W7X8Y9ZABCDEFGH`,
      taskQueue: 'orchestration',
      args: [{ ...start?.input, publicationId: sent.body['id'] }],
    });
    await expect(handle.result()).rejects.toMatchObject({
      cause: { cause: { type: 'START_NOT_AUTHORISED' } },
    });
  }, 60_000);

  it('shows what it waits for and the counts per rule', async () => {
    await describeLoans(world, tenant);
    const held = await publish(loans(100, 30));
    const id = `snapshot/${tenant}/${String(held.body['id'])}`;
    const handle = temporal.client.workflow.getHandle(id);
    await eventually(async () =>
      expect(await handle.query('getStatus')).toMatchObject({
        state: 'QUARANTINED',
        waitingOn: 'human',
      }),
    );
    const metadata = await handle.query<{ currentDetails?: string }>(
      '__temporal_workflow_metadata',
    );
    expect(metadata.currentDetails).toContain('| income | min | reject | 30 |');
    expect(await (await handle.describe()).staticSummary()).toBe('loans ← csv upload');
    await handle.cancel();
    await isIn(held.body['id'], 'CANCELLED');
  }, 60_000);

  describeWithData('adult', 'E1: the Adult files through the API', () => {
    const adult = (name: string) => readFileSync(join(testDataDir, 'adult', name), 'utf8');
    const options = { source: { format: 'csv', header: false, nullTokens: ['?'] } };
    const dotted = { '<=50K.': '<=50K', '>50K.': '>50K' };

    it('waits with 2,399 of 32,561 rows rejected, and publishes 30,162 rows at a limit of 10 %', async () => {
      await describeLoans(world, tenant, { contract: adultContract(dotted) });
      const held = await publish(adult('adult-train.csv'), options);
      expect(held.body).toMatchObject({
        state: 'QUARANTINED',
        counts: { total: 32_561, rejected: 2_399, valid: 30_162 },
      });
      const listed = await createPublicationStore(world.database.api).listRejects(
        tenant,
        { publicationId: String(held.body['id']) },
        { limit: 5_000, after: undefined },
      );
      expect(listed).toHaveLength(limits.maxListedRejects);
      expect(listed[0]).toMatchObject({ row: 15, field: 'native-country', rule: 'missing' });
      const open = { ...options, maxRejectShareBp: 1_000 };
      const done = await publish(adult('adult-train.csv'), open);
      expect(done.body).toMatchObject({ state: 'PUBLISHED', counts: { valid: 30_162 } });
      const mixed = adult('adult-train.csv').split('\n').reverse().join('\n');
      const shuffled = await publish(mixed, open);
      expect(shuffled.body).toMatchObject({ snapshotId: done.body['snapshotId'] });
    }, 120_000);

    it('keeps 15,060 test rows with the label map, and quarantines all 16,281 without it', async () => {
      await describeLoans(world, tenant, { contract: adultContract(dotted) });
      const open = { ...options, maxRejectShareBp: 1_000 };
      const done = await publish(adult('adult-test.csv'), open);
      expect(done.body).toMatchObject({
        state: 'PUBLISHED',
        counts: { total: 16_281, rejected: 1_221, valid: 15_060 },
      });
      const contract = { tenant, body: adultContract() };
      await world.send('POST', '/v1/datasets/loans/contracts', contract);
      const held = await publish(adult('adult-test.csv'), open);
      const { rules } = held.body['counts'] as { rules: { field: string; count: number }[] };
      expect(held.body).toMatchObject({ state: 'QUARANTINED', counts: { valid: 0 } });
      expect(rules.find(({ field }) => field === 'income')).toMatchObject({ count: 16_281 });
    }, 120_000);
  });
});
