import { PlatformError } from '../../src/domain/errors.js';
import {
  defaultWatchLimits,
  etlWorkflowId,
  type WatchLimits,
  type WatchSourceInput,
} from '../../src/domain/etl/contract.js';
import { eventually } from '../support/eventually.js';
import { workflowBench } from '../support/workflow-bench.js';
import { BatchWorld, textOf } from './batch-world.js';

const bench = workflowBench(new BatchWorld(), (one) => one.activities());
let world: BatchWorld;
beforeEach(() => {
  world = bench.use(new BatchWorld());
});

const quick: WatchLimits = {
  ...defaultWatchLimits,
  restMs: 200,
  restMaxMs: 400,
  batch: { ...defaultWatchLimits.batch, lingerMs: 20, retryIntervalMs: 20, maxAttempts: 1 },
};
let watches = 0;

async function watch(limits: Partial<WatchLimits> = {}) {
  const sourceId = `src_${(watches += 1)}`;
  const input: WatchSourceInput = {
    tenant: world.tenant,
    sourceId,
    limits: { ...quick, ...limits },
  };
  const workflowId = etlWorkflowId(world.tenant, sourceId);
  const start = { taskQueue: 'orchestration', workflowId, args: [input] };
  const wake = () =>
    bench.temporal().client.workflow.signalWithStart('watchSource', {
      ...start,
      signal: 'changesRecorded',
      signalArgs: [],
    });
  const first = await wake();
  /** The source is gone: the watcher ends by itself. */
  const end = async () => {
    world.sourceState = 'DELETED';
    await wake();
    return (await bench.temporal().client.workflow.getHandle(workflowId).result()) as {
      state: string;
      counts: Record<string, number>;
    };
  };
  return { wake, end, first, handle: bench.temporal().client.workflow.getHandle(workflowId) };
}

const isSettled = (states: Record<string, number>) =>
  eventually(() => expect(world.states()).toEqual(states), { timeoutMs: 30_000 });

describe('watchSource', () => {
  it('applies what is recorded, also what comes while nothing was left to do, and ends with its source', async () => {
    for (let at = 0; at < 30; at++) world.put(`${at}.md`, textOf(`topic ${at}`));
    const { wake, end } = await watch();
    await isSettled({ LIVE: 30 });
    world.put('late.md', textOf('late'));
    await wake();
    await isSettled({ LIVE: 31 });
    expect(await end()).toMatchObject({ state: 'DELETED', counts: { claimed: 31, indexed: 31 } });
  }, 60_000);

  it('runs a batch as urgently as the most urgent change that waits, in Temporal as in the ledger', async () => {
    world.urgency = 4;
    world.put('scanned.md', textOf('scanned'));
    const { wake, end, handle } = await watch();
    await isSettled({ LIVE: 1 });
    world.urgency = 2;
    world.put('narrowed.md', textOf('narrowed'));
    await wake();
    await isSettled({ LIVE: 2 });
    await end();
    const { events } = await handle.fetchHistory();
    const started = (events ?? []).flatMap(
      (event) => event.startChildWorkflowExecutionInitiatedEventAttributes ?? [],
    );
    expect(started.map(({ priority }) => priority?.priorityKey)).toEqual([4, 2]);
  }, 60_000);

  it('looks by itself where a wake was lost', async () => {
    const { end } = await watch({ safetyTickMs: 1_000 });
    world.put('a.md', textOf('a'));
    await isSettled({ LIVE: 1 });
    await end();
  }, 60_000);

  it('keeps at most `window` batches at work, however much is due', async () => {
    let open: () => void = () => undefined;
    world.embedGate = new Promise((resolve) => (open = resolve));
    for (let at = 0; at < 50; at++) world.put(`${at}.md`, textOf(`topic ${at}`));
    const { end } = await watch({ window: 3, batch: { ...quick.batch, maxDocuments: 5 } });
    await eventually(() => expect(world.batchesAtOnce).toBe(3), { timeoutMs: 20_000 });
    open();
    await isSettled({ LIVE: 50 });
    expect(world.mostAtOnce).toBe(3);
    await end();
  }, 60_000);

  it('rests while the store is down, loses nothing, and drains once it is back', async () => {
    world.sink.down = true;
    for (let at = 0; at < 20; at++) world.put(`${at}.md`, textOf(`topic ${at}`));
    const { end, handle } = await watch({ window: 2, batch: { ...quick.batch, maxDocuments: 5 } });
    await eventually(
      async () => {
        const { events } = await handle.fetchHistory();
        const rests = events?.filter((event) => {
          const ms =
            Number(event.timerStartedEventAttributes?.startToFireTimeout?.nanos ?? 0) / 1e6;
          return ms === 200 || ms === 400;
        });
        expect(rests?.length).toBeGreaterThanOrEqual(2);
      },
      { timeoutMs: 30_000 },
    );
    expect(world.sink.rows.size).toBe(0);
    world.sink.down = false;
    await isSettled({ LIVE: 20 });
    expect((await end()).counts).toMatchObject({ indexed: 20, lost: 0 });
  }, 60_000);

  it('pauses a source that only a changed setting can help, and goes on when it is resumed', async () => {
    world.embedFails = new PlatformError('EMBEDDER_MISCONFIGURED', 'wrong key');
    world.put('a.md', textOf('a'));
    const { wake, end } = await watch();
    await eventually(() => expect(world.paused).toEqual(['EMBEDDER_MISCONFIGURED']), {
      timeoutMs: 30_000,
    });
    world.embedFails = undefined;
    world.sourceState = 'ACTIVE';
    await wake();
    await isSettled({ LIVE: 1 });
    await end();
  }, 60_000);

  it('applies what is left of a source that goes, then ends by itself', async () => {
    for (let at = 0; at < 12; at++) world.put(`${at}.md`, textOf(`topic ${at}`));
    world.sourceState = 'DELETING';
    const { handle } = await watch({ window: 2, batch: { ...quick.batch, maxDocuments: 5 } });
    const limits = { timeoutMs: 30_000 };
    await eventually(() => expect(world.sourceState).toBe('DELETED'), limits);
    expect(world.states()).toEqual({ LIVE: 12 });
    expect(await handle.result()).toMatchObject({ state: 'DELETED', counts: { indexed: 12 } });
  }, 60_000);

  it('runs a batch that holds documents and that nobody runs', async () => {
    world.put('a.md', textOf('a'));
    world.claimLate('a.md', 'bat_ended');
    const { end } = await watch();
    await isSettled({ LIVE: 1 });
    await end();
  }, 60_000);

  it('waits for a document that somebody else holds without one batch after the other', async () => {
    world.reserved.add('held.md');
    world.put('held.md', textOf('held'));
    world.put('free.md', textOf('free'));
    const { end, handle } = await watch();
    await isSettled({ LIVE: 1, PENDING: 1 });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    world.reserved.clear();
    await isSettled({ LIVE: 2 });
    await end();
    const { events } = await handle.fetchHistory();
    const started = events?.filter((e) => e.startChildWorkflowExecutionInitiatedEventAttributes);
    expect(started).toHaveLength(2);
  }, 60_000);

  it('drains its batches and goes on as a new run, with at most 12 events a batch', async () => {
    for (let at = 0; at < 40; at++) world.put(`${at}.md`, textOf(`topic ${at}`));
    const { end, first, handle } = await watch({
      maxBatches: 10,
      batch: { ...quick.batch, maxDocuments: 2 },
    });
    await isSettled({ LIVE: 40 });
    const { events } = await bench
      .temporal()
      .client.workflow.getHandle(first.workflowId, first.signaledRunId)
      .fetchHistory();
    const all = events ?? [];
    const count = (
      key:
        | 'childWorkflowExecutionStartedEventAttributes'
        | 'childWorkflowExecutionCompletedEventAttributes'
        | 'workflowExecutionContinuedAsNewEventAttributes',
    ) => all.filter((event) => event[key] != null).length;
    // The limit is looked at between rounds, and a round starts what the window allows.
    const started = count('childWorkflowExecutionStartedEventAttributes');
    expect(started).toBeGreaterThanOrEqual(10);
    expect(started).toBeLessThan(10 + quick.window);
    expect(count('childWorkflowExecutionCompletedEventAttributes')).toBe(started);
    expect(count('workflowExecutionContinuedAsNewEventAttributes')).toBe(1);
    // The first look, the tick and the end of the run cost about 25 events whatever the run does.
    expect(all.length).toBeLessThanOrEqual(12 * started + 25);
    expect((await handle.describe()).runId).not.toBe(first.signaledRunId);
    expect((await end()).counts).toMatchObject({ claimed: 40, indexed: 40 });
  }, 60_000);
});
