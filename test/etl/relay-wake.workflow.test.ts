import { createEtlActivities } from '../../src/activities/etl/index.js';
import { createStarter } from '../../src/adapters/temporal/starter.js';
import { etlWorkflowId } from '../../src/domain/etl/contract.js';
import { eventually } from '../support/eventually.js';
import { startRelay } from '../support/relay.js';
import { connectTestTemporal, type TestTemporal } from '../support/temporal.js';
import { sourceId } from './ledger-world.js';
import { WritePathWorld } from './write-path-world.js';

let temporal: TestTemporal;
let workers: { stop: () => Promise<void> };
let world: WritePathWorld;
let relay: ReturnType<typeof startRelay>;

beforeAll(async () => {
  temporal = await connectTestTemporal();
  world = await WritePathWorld.create();
  const activities = {
    ...createEtlActivities(world.deps()),
    authoriseStart: async () => undefined,
  };
  workers = await temporal.startWorkers(activities);
  relay = startRelay(world.database, createStarter(temporal.client));
}, 90_000);
afterAll(async () => {
  await relay.stop();
  await workers.stop();
  await temporal.stop();
  await world.close();
});

test('the relay wakes the watcher of a source by signalWithStart, and its changes become readable', async () => {
  const t = 'relay-wake';
  await world.seed(t);
  await world.put(t, {
    'a.txt': 'The first document that anybody recorded here.',
    'b.txt': 'The second document that anybody recorded here.',
  });
  const live = () =>
    world.rows(t, `select 1 from etl_document where tenant_id = $tenant and live_rev is not null`);
  await eventually(async () => expect(await live()).toHaveLength(2), { timeoutMs: 40_000 });
  const handle = temporal.client.workflow.getHandle(etlWorkflowId(t, sourceId));
  const signals = async () =>
    (await handle.fetchHistory()).events?.flatMap(
      (event) => event.workflowExecutionSignaledEventAttributes?.signalName ?? [],
    );
  expect(await signals()).toEqual(['changesRecorded']);
  const { runId } = await handle.describe();
  await world.put(t, { 'c.txt': 'The third document that anybody recorded here.' });
  await eventually(async () => expect(await live()).toHaveLength(3), { timeoutMs: 40_000 });
  expect((await handle.describe()).runId).toBe(runId);
  expect(await signals()).toEqual(['changesRecorded', 'changesRecorded']);
  const open = await world.rows(
    t,
    `select 1 from wake where tenant_id = $tenant and delivered_at is null`,
  );
  expect(open).toEqual([]);
  await world.rows(t, `update etl_source set state = 'DELETED' where tenant_id = $tenant`);
  await handle.signal('changesRecorded');
  expect(await handle.result()).toMatchObject({ state: 'DELETED', counts: { indexed: 3 } });
}, 120_000);
