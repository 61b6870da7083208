import { createEtlActivities } from '../../src/activities/etl/index.js';
import { createEtlHealth } from '../../src/adapters/postgres/etl-health.js';
import { createStarter } from '../../src/adapters/temporal/starter.js';
import {
  defaultWatchLimits,
  etlWorkflowId,
  type WatchLimits,
  type WatchSourceInput,
} from '../../src/domain/etl/contract.js';
import { PlatformError } from '../../src/domain/errors.js';
import { eventually } from '../support/eventually.js';
import { startRelay } from '../support/relay.js';
import { connectTestTemporal, type TestTemporal } from '../support/temporal.js';
import { sourceId } from './ledger-world.js';
import { WritePathWorld } from './write-path-world.js';

// The ledger, the store and the workflows are real; only the disk under the store is full.

let temporal: TestTemporal;
let workers: { stop: () => Promise<void> };
let world: WritePathWorld;
let relay: ReturnType<typeof startRelay>;

const limits: WatchLimits = {
  ...defaultWatchLimits,
  window: 2,
  restMs: 300,
  restMaxMs: 600,
  batch: {
    ...defaultWatchLimits.batch,
    ...{ maxDocuments: 5, lingerMs: 20, retryIntervalMs: 20, maxAttempts: 1 },
  },
};

beforeAll(async () => {
  temporal = await connectTestTemporal();
  world = await WritePathWorld.create();
  workers = await temporal.startWorkers({
    ...createEtlActivities(world.deps()),
    authoriseStart: async () => undefined,
  });
  relay = startRelay(world.database, createStarter(temporal.client));
}, 90_000);
afterAll(async () => {
  await relay.stop();
  await workers.stop();
  await temporal.stop();
  await world.close();
});

const textOf = (name: string): string =>
  `What the handbook says about ${name} is told in this one paragraph, which is long enough to be a chunk.`;
const named = (from: number, to: number): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: to - from }, (_, at) => [`${from + at}.txt`, textOf(`topic${from + at}`)]),
  );
const within = { timeoutMs: 40_000 };

test('while the disk of the store is full the window is 0 and the backlog is counted; then it drains, and nothing is lost', async () => {
  const t = 'full-store';
  await world.seed(t);
  const workflowId = etlWorkflowId(t, sourceId);
  const input: WatchSourceInput = { tenant: t, sourceId, limits };
  const handle = await temporal.client.workflow.start('watchSource', {
    ...{ taskQueue: 'orchestration', workflowId, args: [input] },
  });
  const health = createEtlHealth(world.database.worker);
  const backlog = async () => (await health.readHealth(t)).sources[0];
  const live = () =>
    world.rows(t, `select 1 from etl_document where tenant_id = $tenant and live_rev is not null`);
  await world.put(t, named(0, 3));
  await eventually(async () => expect(await live()).toHaveLength(3), within);
  await eventually(async () => expect(await backlog()).toMatchObject({ backlog: 0 }), within);

  world.refusesRows = new PlatformError('SINK_UNAVAILABLE', 'The vector store failed.', {
    internal: 'Io error: No space left on device (os error 28)',
  });
  // New ones, and one that is edited: all of them wait.
  await world.put(t, { ...named(3, 20), '0.txt': textOf('edited0') });
  const timers = async () =>
    ((await handle.fetchHistory()).events ?? []).flatMap(
      ({ timerStartedEventAttributes: timer }) => {
        const ms = Number(timer?.startToFireTimeout?.nanos ?? 0) / 1e6;
        return ms === limits.restMs || ms === limits.restMaxMs ? [ms] : [];
      },
    );
  await eventually(async () => expect((await timers()).length).toBeGreaterThanOrEqual(3), within);
  const waiting = await backlog();
  expect(waiting?.backlog).toBe(18);
  expect(waiting?.oldestUnappliedSeconds).toBeGreaterThan(0);
  // What was served is served still, at the revision that it had.
  expect(await live()).toHaveLength(3);
  const stored = async () => (await world.rowsOf(t, 'vectors')).map(({ text }) => text);
  expect((await stored()).filter((text) => /topic[012]\b/.test(text))).toHaveLength(3);
  expect(await stored()).toHaveLength(3);

  world.refusesRows = undefined;
  await eventually(async () => expect(await backlog()).toMatchObject({ backlog: 0 }), within);
  await eventually(async () => expect(await live()).toHaveLength(20), within);
  const names = (await stored()).flatMap((text) => /(?:topic|edited)\d+/.exec(text) ?? []).sort();
  const expected = ['edited0', ...Array.from({ length: 19 }, (_, at) => `topic${at + 1}`)];
  expect(names).toEqual(expected.sort());
  expect((await world.rowsOf(t, 'words')).map(({ rowId }) => rowId).sort()).toEqual(
    (await world.rowsOf(t, 'vectors')).map(({ rowId }) => rowId).sort(),
  );
  const states = await world.rows(
    t,
    `select state, count(*)::int as n from etl_change_event where tenant_id = $tenant group by 1`,
  );
  expect(states).toEqual([{ state: 'APPLIED', n: 21 }]);
  expect(
    await world.rows(t, `select 1 from etl_intent where tenant_id = $tenant and state = 'OPEN'`),
  ).toEqual([]);
  expect(
    await world.rows(t, `select 1 from etl_quarantine_item where tenant_id = $tenant`),
  ).toEqual([]);

  await world.rows(t, `update etl_source set state = 'DELETED' where tenant_id = $tenant`);
  await handle.signal('changesRecorded');
  expect(await handle.result()).toMatchObject({
    state: 'DELETED',
    counts: { indexed: 21, lost: 0 },
  });
}, 180_000);
