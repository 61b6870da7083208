import { createEtlCanaries } from '../../src/adapters/postgres/etl-canaries.js';
import { createEtlGenerationMoves } from '../../src/adapters/postgres/etl-collection-moves.js';
import { createEtlCollectionStore } from '../../src/adapters/postgres/etl-collections.js';
import { createEtlDueWork } from '../../src/adapters/postgres/etl-due-work.js';
import { createEtlHealth } from '../../src/adapters/postgres/etl-health.js';
import { createEtlReconcileLedger } from '../../src/adapters/postgres/etl-reconcile-ledger.js';
import { createRetrievalProbes } from '../../src/adapters/postgres/retrieval-probes.js';
import { createSchedules } from '../../src/adapters/temporal/schedules.js';
import { createScheduleLoop } from '../../src/activities/etl/schedule-loop.js';
import { createCareActivities } from '../../src/activities/etl/index.js';
import { createProbeActivities } from '../../src/activities/retrieval/index.js';
import { defaultCareLimits } from '../../src/domain/etl/contract.js';
import { reembedCollectionStart } from '../../src/domain/etl/reembed-contract.js';
import { carePeriodMs, scheduleIdOf, type DueWork } from '../../src/domain/etl/due-work.js';
import { DAY_MS, HOUR_MS } from '../../src/domain/units.js';
import type { Embedder } from '../../src/domain/etl/embedder.js';
import { hash384, hash384Dims } from '../../src/domain/etl/hash-384.js';
import type { VectorSink } from '../../src/domain/etl/vector-sink.js';
import { eventually } from '../support/eventually.js';
import { connectTestTemporal, type TestTemporal } from '../support/temporal.js';
import { callerOf, collectionId, live, LedgerWorld, sourceId, upsert } from './ledger-world.js';
import { seedFolder } from './seed-folder.js';

let world: LedgerWorld;
let temporal: TestTemporal;
let workers: { stop: () => Promise<void> };
/** What the embedder answers besides its vectors. */
let twist = 0;
let stored: { rowId: string; vector: Float32Array }[] = [];
let indexFinds = (count: number): number => count;
let runs = 0;

const embedder: Embedder = {
  id: 'hash-384',
  embedFp: 'sha256:fp',
  dims: hash384Dims,
  memo: false,
  limits: { maxInputs: 2_048, maxTokensPerInput: 8_192, maxTokensPerRequest: 300_000 },
  embed: async (texts) =>
    texts.map((text) => {
      const vector = hash384(text);
      if (vector === undefined) return undefined;
      const turned = Float32Array.from(vector);
      turned[0] = (turned[0] ?? 0) + twist;
      return turned;
    }),
};

/** Exact search answers every row, the index as many as `indexFinds` says. */
const sink = {
  fetch: async (rowIds: readonly string[]) => stored.filter(({ rowId }) => rowIds.includes(rowId)),
  search: async ({ exact, k }: { exact?: boolean; k: number }) =>
    stored
      .slice(0, exact === true ? k : indexFinds(k))
      .map(({ rowId }) => ({ rowId, docId: 'd', score: 1 })),
} as unknown as VectorSink;

const newTenant = (): Promise<string> => seedFolder(world);
const ask = (sql: string, ...values: unknown[]) => world.database.asSuperuser(sql, values);
const due = () => createEtlDueWork(world.database.worker);
const start = (tenant: string, work: DueWork['work']) =>
  due().startDue(callerOf(tenant), { work, id: work === 'scan' ? sourceId : live });

beforeAll(async () => {
  world = await LedgerWorld.create();
  temporal = await connectTestTemporal();
  const db = world.database.worker;
  workers = await temporal.startWorkers({
    authoriseStart: async () => undefined,
    ...createCareActivities({
      ...due(),
      ...createEtlCanaries(db),
      findGeneration: createEtlReconcileLedger(world.parts).findGeneration,
      embedder: async () => embedder,
    }),
    ...createProbeActivities({
      ...createRetrievalProbes(db),
      rebuild: (caller, collection) =>
        createEtlGenerationMoves(db, { reembedCollection: reembedCollectionStart }).rebuild(
          caller,
          collection,
          { holdMs: 0 },
        ),
      sink: async () => sink,
    }),
  });
}, 120_000);
afterAll(async () => {
  await workers.stop();
  await temporal.stop();
  await world.database.close();
});

describe('what is due', () => {
  it('a scan is started with its row and intent, once however often it is asked for', async () => {
    const tenant = await newTenant();
    const both = await Promise.all([start(tenant, 'scan'), start(tenant, 'scan')]);
    expect(both.map(({ state }) => state).sort()).toEqual(['SKIPPED', 'STARTED']);
    const scans = await ask('select scan_id, state from etl_scan where tenant_id = $1', tenant);
    expect(scans).toHaveLength(1);
    expect(both).toContainEqual({
      state: 'STARTED',
      workflowId: `etl/${tenant}/${String(scans[0]?.scan_id)}`,
    });
    const intents = await ask(
      'select workflow_type, due_at <= now() as due from intent where tenant_id = $1',
      tenant,
    );
    expect(intents).toEqual([{ workflow_type: 'scanSource', due: true }]);
  });

  it('a scan is not due before half of its interval, not while one runs, not for a source that is paused', async () => {
    const tenant = await newTenant();
    await start(tenant, 'scan');
    expect(await start(tenant, 'scan')).toEqual({ state: 'SKIPPED', reason: 'NOT_DUE' });
    const age = (seconds: number) =>
      ask(
        'update etl_scan set created_at = now() - make_interval(secs => $2::int) where tenant_id = $1',
        ...[tenant, seconds],
      );
    await age(31);
    expect(await start(tenant, 'scan')).toEqual({ state: 'SKIPPED', reason: 'RUNNING' });
    await ask(
      `update etl_scan set state = 'APPLIED', ended_at = now() where tenant_id = $1`,
      tenant,
    );
    expect(await start(tenant, 'scan')).toMatchObject({ state: 'STARTED' });
    await ask(
      `update etl_scan set state = 'APPLIED', ended_at = now() where tenant_id = $1`,
      tenant,
    );
    await age(31);
    await ask(`update etl_source set state = 'PAUSED' where tenant_id = $1`, tenant);
    expect(await start(tenant, 'scan')).toEqual({ state: 'SKIPPED', reason: 'GONE' });
    const entries = await ask(
      `select count(*)::int as starts from intent where tenant_id = $1`,
      tenant,
    );
    expect(entries).toEqual([{ starts: 2 }]);
  });

  it('a scan that was seen to be needed waits for the one that runs, and for no interval', async () => {
    const tenant = await newTenant();
    const hint = () => due().startHintedScan(callerOf(tenant), sourceId);
    expect(await hint()).toMatchObject({ state: 'STARTED' });
    expect(await hint()).toEqual({ state: 'SKIPPED', reason: 'RUNNING' });
    await ask(
      `update etl_scan set state = 'APPLIED', ended_at = now() where tenant_id = $1`,
      tenant,
    );
    expect(await hint()).toMatchObject({ state: 'STARTED' });
  });

  it('care of a generation is begun once in its period, and of a dropped one never', async () => {
    const tenant = await newTenant();
    for (const work of ['reconcile', 'compaction', 'probe', 'canary'] as const) {
      expect(await start(tenant, work)).toMatchObject({ state: 'STARTED' });
      expect(await start(tenant, work)).toMatchObject({ state: 'SKIPPED' });
    }
    const types = await ask('select workflow_type as w from intent where tenant_id = $1', tenant);
    expect(types.map(({ w }) => w).sort()).toEqual(
      ['checkCanaries', 'compactGeneration', 'probeGeneration', 'reconcileGeneration'].sort(),
    );
    await ask(`update etl_generation set state = 'DROPPED' where tenant_id = $1`, tenant);
    await ask('delete from intent where tenant_id = $1', tenant);
    expect(await start(tenant, 'probe')).toEqual({ state: 'SKIPPED', reason: 'GONE' });
  });

  it('nights begin at their hour, hours at their half', () => {
    const midnight = 20_000 * DAY_MS;
    expect(carePeriodMs('reconcile', midnight)).toBe(midnight - 23 * HOUR_MS);
    expect(carePeriodMs('reconcile', midnight + HOUR_MS)).toBe(midnight + HOUR_MS);
    expect(carePeriodMs('compaction', midnight + HOUR_MS)).toBe(midnight + HOUR_MS / 2);
  });
});

describe('Schedules', () => {
  const schedules = () => createSchedules(temporal.client);
  const idOf = (tenant: string, work: DueWork['work']) =>
    scheduleIdOf({ tenant, work, id: work === 'scan' ? sourceId : live });

  it('are kept equal to the rows: made, changed, removed, and made again where a hand took one away', async () => {
    const tenant = await newTenant();
    const stop = new AbortController();
    const loop = createScheduleLoop({
      ...schedules(),
      ...due(),
      tenants: async () => [tenant],
      log: { warn: () => undefined },
      intervals: { rowsMs: 50, listMs: 500 },
    });
    const ended = loop.run(stop.signal);
    const there = async () =>
      new Map((await schedules().list()).map((each) => [each.scheduleId, each.everyMs]));
    const wait = { timeoutMs: 30_000 };
    try {
      await eventually(async () => {
        const found = await there();
        expect([...found.keys()].sort()).toEqual(
          (['canary', 'compaction', 'probe', 'reconcile', 'scan'] as const).map((work) =>
            idOf(tenant, work),
          ),
        );
        expect(found.get(idOf(tenant, 'scan'))).toBe(60_000);
        expect(found.get(idOf(tenant, 'reconcile'))).toBe(DAY_MS);
      }, wait);
      await ask('update etl_source set schedule_ms = 120000 where tenant_id = $1', tenant);
      await eventually(
        async () => expect((await there()).get(idOf(tenant, 'scan'))).toBe(120_000),
        wait,
      );
      await schedules().remove(idOf(tenant, 'probe'));
      await eventually(async () => {
        const probe = temporal.client.schedule.getHandle(idOf(tenant, 'probe'));
        expect((await probe.describe()).policies.overlap).toBe('SKIP');
      }, wait);
      await ask(`update etl_source set state = 'DELETED' where tenant_id = $1`, tenant);
      await ask(`update etl_generation set state = 'DROPPED' where tenant_id = $1`, tenant);
      await eventually(async () => expect((await there()).size).toBe(0), wait);
      expect(loop.healthy()).toBe(true);
    } finally {
      stop.abort();
      await ended;
    }
  }, 120_000);

  it('one that fires starts a scan with its row; one that fires again meanwhile starts none', async () => {
    const tenant = await newTenant();
    await schedules().put({
      ...{ tenant, work: 'scan', id: sourceId },
      // Fires by itself half an hour from now.
      ...{ everyMs: 3_600_000, offsetMs: (Date.now() + 1_800_000) % 3_600_000, jitterMs: 0 },
    });
    const handle = temporal.client.schedule.getHandle(idOf(tenant, 'scan'));
    const runs = async () => (await handle.describe()).info.recentActions;
    const runOfAction = (of: { workflowId: string; firstExecutionRunId: string }) =>
      temporal.client.workflow.getHandle(of.workflowId, of.firstExecutionRunId);
    const results = async (): Promise<unknown[]> => {
      const ended: unknown[] = [];
      for (const { action } of await runs())
        // Two in one second have one workflow id.
        ended.push(await runOfAction(action.workflow).result());
      return ended;
    };
    await handle.trigger();
    await eventually(async () => expect(await runs()).toHaveLength(1), { timeoutMs: 20_000 });
    expect(await results()).toMatchObject([{ state: 'STARTED' }]);
    await handle.trigger();
    await eventually(async () => expect(await runs()).toHaveLength(2), { timeoutMs: 20_000 });
    expect(await results()).toMatchObject([{ state: 'STARTED' }, { state: 'SKIPPED' }]);
    const scans = await ask('select requested_by from etl_scan where tenant_id = $1', tenant);
    expect(scans).toHaveLength(1);
    expect(String(scans[0]?.requested_by)).toMatch(`workflow:etl/${tenant}/scan-${sourceId}`);
    await schedules().remove(idOf(tenant, 'scan'));
  }, 60_000);
});

const runOf = async (tenant: string, workflowType: string, idName: string): Promise<unknown> =>
  temporal.client.workflow.execute(workflowType, {
    taskQueue: 'orchestration',
    workflowId: `etl/${tenant}/${workflowType}-${(runs += 1)}`,
    args: [{ tenant, [idName]: 'x', generationId: live, limits: defaultCareLimits }],
  });

describe('canary texts', () => {
  it('an embedder that answers differently than it did pauses its generations, and one that came back does not', async () => {
    const tenant = await newTenant();
    const check = () => runOf(tenant, 'checkCanaries', 'canaryId');
    const drifted = async () =>
      (await ask('select drifted_at from etl_generation where tenant_id = $1', tenant))[0]
        ?.drifted_at;
    twist = 0;
    expect(await check()).toMatchObject({ state: 'DONE' });
    expect(await check()).toMatchObject({ state: 'DONE' });
    expect(await drifted()).toBeNull();
    twist = 0.2;
    expect(await check()).toMatchObject({ state: 'DRIFTED' });
    expect(await drifted()).toBeInstanceOf(Date);
    const [generation] = await world.ledger.generations(tenant, collectionId);
    expect(generation).toMatchObject({ drifted: true });
    twist = 0;
    expect(await check()).toMatchObject({ state: 'DONE' });
    expect(await drifted()).toBeNull();
    const events = await ask(
      `select type from outbox where tenant_id = $1 and type like 'anneal.etl.embedder%' order by type`,
      tenant,
    );
    expect(events.map(({ type }) => type)).toEqual([
      'anneal.etl.embedder_drifted.v1',
      'anneal.etl.embedder_recovered.v1',
    ]);
  }, 60_000);
});

describe('recall probe', () => {
  it('keeps its vectors and its result, builds anew what is low twice, and asks nothing of an empty store', async () => {
    const tenant = await newTenant();
    const probe = () => runOf(tenant, 'probeGeneration', 'probeId');
    expect(await probe()).toMatchObject({ state: 'SKIPPED' });
    stored = Array.from({ length: 12 }, (_, at) => ({
      rowId: `00000000-0000-8000-8000-0000000000${String(at + 10)}`,
      vector: hash384(`text of document ${String(at)}`) ?? new Float32Array(hash384Dims),
    }));
    await world.ledger.recordChanges(
      callerOf(tenant),
      sourceId,
      stored.map(({ rowId }) => upsert(rowId, 'v1')),
    );
    await ask(
      `insert into etl_manifest (tenant_id, generation_id, doc_id, rev, row_ids, acl_hash)
       select $1, $2, d.doc_id, 1, array[r.id], 'a' from (select doc_id, row_number() over (order by doc_id) as at
         from etl_document where tenant_id = $1) d
       join unnest($3::uuid[]) with ordinality as r(id, at) on r.at = d.at`,
      ...[tenant, live, stored.map(({ rowId }) => rowId)],
    );
    indexFinds = (count) => count;
    expect(await probe()).toMatchObject({ state: 'DONE', recallBp: 10_000 });
    indexFinds = (count) => count - 1;
    const building = () =>
      ask(
        `select g.embed_fp, i.workflow_type from etl_generation g join intent i on i.tenant_id = g.tenant_id
           and i.workflow_id = 'etl/' || g.tenant_id || '/' || g.generation_id
         where g.tenant_id = $1 and g.state = 'BUILDING'`,
        tenant,
      );
    expect(await probe()).toMatchObject({ state: 'DONE', recallBp: 9_000 });
    expect(await building()).toEqual([]);
    expect(await probe()).toMatchObject({ state: 'DONE', recallBp: 9_000 });
    expect(await building()).toEqual([
      { embed_fp: 'sha256:fp', workflow_type: 'reembedCollection' },
    ]);
    expect(await probe()).toMatchObject({ state: 'DONE', recallBp: 9_000 });
    expect(await building()).toHaveLength(1);
    const rows = await ask(
      `select recall_bp, low_in_a_row, length(vectors) as bytes from retrieval_probe where tenant_id = $1`,
      tenant,
    );
    // Twelve vectors of the first night, asked again in the second and filled up with the same twelve in each.
    expect(rows).toMatchObject([{ recall_bp: 9_000, low_in_a_row: 3 }]);
    expect(Number(rows[0]?.bytes) % (hash384Dims * 4)).toBe(0);
    const health = await createEtlHealth(world.database.worker).readHealth(tenant);
    expect(health.sinks).toMatchObject([{ sink: 'lancedb', recallAt10: 0.9 }]);
    const collections = createEtlCollectionStore(world.database.api);
    expect(await collections.findCollection(tenant, collectionId)).toMatchObject({
      lastProbe: { recallBp: 9_000, lowInARow: 3 },
    });
  }, 60_000);
});
