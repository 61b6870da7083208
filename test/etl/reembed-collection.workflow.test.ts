import { defaultCareLimits, etlWorkflowId } from '../../src/domain/etl/contract.js';
import type {
  FitEmbedderInput,
  FitEmbedderResult,
  ReembedCollectionInput,
  ReembedCollectionResult,
  ReembedLimits,
} from '../../src/domain/etl/reembed-contract.js';
import { eventually } from '../support/eventually.js';
import { workflowBench } from '../support/workflow-bench.js';
import { quickLimits, ReembedWorld } from './reembed-world.js';

const bench = workflowBench(new ReembedWorld('none', 0), (one) => one.activities());
let world: ReembedWorld;

const worldOf = (name: string, lagging: number, state?: 'FITTING'): ReembedWorld => {
  world = bench.use(new ReembedWorld(name, lagging, state));
  return world;
};

async function start(
  more: Partial<ReembedCollectionInput> = {},
  limits: Partial<ReembedLimits> = {},
) {
  const input: ReembedCollectionInput = {
    ...{ tenant: world.tenant, collectionId: 'col_1', generationId: world.next },
    ...{ gated: true, autoFlip: true, holdMs: 0 },
    limits: { ...quickLimits, ...limits },
    ...more,
  };
  const handle = await bench.temporal().client.workflow.start('reembedCollection', {
    taskQueue: 'orchestration',
    workflowId: world.workflowId(),
    args: [input],
  });
  const wake = () =>
    handle.executeUpdate<void, [{ factId: string }]>('wake', { args: [{ factId: 'evt_1' }] });
  const status = async () =>
    (await handle.query<{ state: string; waitingOn: string }>('getStatus')).state;
  return {
    handle,
    wake,
    status,
    result: () => handle.result() as Promise<ReembedCollectionResult>,
  };
}

describe('reembedCollection', () => {
  it('backfills in slices, at most two at once, then goes live and drops what was held', async () => {
    worldOf('slices', 5_000);
    const { result } = await start();
    expect(await result()).toMatchObject({
      state: 'LIVE',
      slices: 10,
      counts: { written: 5_000, stopped: 0, lost: 0 },
    });
    expect(world.mostAtOnce).toBe(2);
    expect(new Set(world.slices).size).toBe(10);
    expect(world.live).toBe(world.next);
    expect(world.reconciles).toBe(1);
    expect(world.evaluations).toBe(1);
    expect(world.dropped).toEqual([world.old]);
    expect(world.storesRemoved).toEqual([world.old]);
  }, 60_000);

  it('spends at most 12 events a slice, and goes on as a new run after so many slices', async () => {
    worldOf('continued', 30 * 512);
    const { handle, result } = await start({}, { slicesPerRun: 12 });
    const first = (await handle.describe()).runId;
    expect((await result()).slices).toBe(30);
    const { events = [] } = await bench
      .temporal()
      .client.workflow.getHandle(world.workflowId(), first)
      .fetchHistory();
    expect(events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes).toBeDefined();
    expect((events?.length ?? 0) / 12).toBeLessThanOrEqual(12);
    expect(world.live).toBe(world.next);
  }, 60_000);

  it('builds the indexes of the new store after its bulk load: it is judged, and goes live, with them', async () => {
    worldOf('compacted', 10);
    // More than one step tries: the run rests and comes back to it.
    world.compactionFailures = 3;
    const { result } = await start();
    expect(await result()).toMatchObject({ state: 'LIVE' });
    expect(world.built).toEqual(['reconciled', `compacted ${world.next}`, 'judged', 'live']);
  }, 60_000);

  it('FAIL drops the new generation with its store; the old one answered throughout', async () => {
    worldOf('fail', 10);
    world.verdict = 'FAIL';
    const { result } = await start();
    expect(await result()).toMatchObject({ state: 'DROPPED', reason: 'gate FAIL' });
    expect(world.storesRemoved).toEqual([world.next]);
    expect(world.live).toBe(world.old);
    expect(world.of(world.old).state).toBe('LIVE');
  }, 60_000);

  it.each(['INCONCLUSIVE', 'ERROR'] as const)(
    '%s waits for a person and flips when one says so',
    async (verdict) => {
      worldOf(`wait-${verdict}`, 10);
      world.verdict = verdict;
      const { result, wake, status } = await start();
      await eventually(async () => expect(await status()).toBe('WAITING'));
      expect(world.live).toBe(world.old);
      // A dual write that failed while the run waits is caught up with the decision.
      world.of(world.next).lagging = 3;
      world.decision = 'flip';
      await wake();
      expect(await result()).toMatchObject({ state: 'LIVE' });
      expect(world.of(world.next).lagging).toBe(0);
    },
    60_000,
  );

  it('a person drops it, or nobody decides in time', async () => {
    worldOf('dropped', 10);
    world.verdict = 'INCONCLUSIVE';
    const first = await start();
    await eventually(async () => expect(await first.status()).toBe('WAITING'));
    world.decision = 'drop';
    await first.wake();
    expect(await first.result()).toMatchObject({ state: 'DROPPED' });
    worldOf('undecided', 10);
    world.verdict = 'INCONCLUSIVE';
    const second = await start({}, { decisionMs: 100 });
    expect(await second.result()).toMatchObject({
      state: 'DROPPED',
      reason: 'gate INCONCLUSIVE: nobody decided in time',
    });
    expect(world.live).toBe(world.old);
  }, 60_000);

  it('without judged queries autoFlip decides, and without it a person', async () => {
    worldOf('ungated', 10);
    expect(await (await start({ gated: false })).result()).toMatchObject({ state: 'LIVE' });
    expect(world.evaluations).toBe(0);
    worldOf('ungated-asks', 10);
    const asking = await start({ gated: false, autoFlip: false });
    await eventually(async () => expect(await asking.status()).toBe('WAITING'));
    world.decision = 'flip';
    await asking.wake();
    expect(await asking.result()).toMatchObject({ state: 'LIVE' });
  }, 60_000);

  it('a flip that is refused because documents lag comes again once they do not', async () => {
    worldOf('lagging', 10);
    let flips = 0;
    world.beforeFlip = () => {
      if ((flips += 1) === 1) world.of(world.next).lagging = 7;
    };
    expect(await (await start()).result()).toMatchObject({ state: 'LIVE' });
    expect(flips).toBe(2);
    expect(world.evaluations).toBe(1);
  }, 60_000);

  it('another live generation than the one compared with is judged anew', async () => {
    worldOf('moved', 10);
    let flips = 0;
    world.beforeFlip = () => {
      if ((flips += 1) === 1) world.epoch += 1;
    };
    expect(await (await start()).result()).toMatchObject({ state: 'LIVE' });
    expect(world.evaluations).toBe(2);
  }, 60_000);

  it('a store that does not answer halves the window and ends nothing', async () => {
    worldOf('trouble', 3_000);
    world.failures = 6;
    expect(await (await start()).result()).toMatchObject({
      state: 'LIVE',
      counts: { written: 3_000 },
    });
  }, 60_000);

  it('a rollback during the hold keeps the old generation and drops the new one', async () => {
    worldOf('rollback', 10);
    const { result, wake, status } = await start({ holdMs: 60_000 });
    await eventually(async () => expect(await status()).toBe('HOLDING'));
    expect(world.live).toBe(world.next);
    world.of(world.old).lagging = 4;
    await wake();
    await eventually(() => expect(world.of(world.old).lagging).toBe(0));
    world.rollback(300);
    await wake();
    expect(await result()).toMatchObject({ state: 'DROPPED', reason: 'rolled back' });
    expect(world.dropped).toEqual([world.next]);
    expect(world.live).toBe(world.old);
    expect(world.of(world.old).state).toBe('LIVE');
  }, 60_000);

  it('a fitted embedder comes first: nothing is written before it is there', async () => {
    worldOf('fitted', 600, 'FITTING');
    const { result, handle } = await start({ fitId: 'fit_1' });
    expect(await result()).toMatchObject({ state: 'LIVE', slices: 2 });
    const { events } = await handle.fetchHistory();
    const children = events?.flatMap(
      (event) =>
        event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowType?.name ?? [],
    );
    expect(children).toEqual(['fitEmbedder', 'reconcileGeneration', 'evaluateRetrieval']);
    worldOf('unfittable', 600, 'FITTING');
    world.fitCode = 'EMBEDDER_MISCONFIGURED';
    const second = await start({ fitId: 'fit_2' });
    expect(await second.result()).toMatchObject({
      state: 'FAILED',
      reason: 'EMBEDDER_MISCONFIGURED',
    });
    expect(world.slices).toEqual([]);
  }, 60_000);

  it('cancelled while it builds it takes the new generation back; what is live is not cancelled', async () => {
    worldOf('cancelled', 10);
    world.verdict = 'INCONCLUSIVE';
    const building = await start();
    await eventually(async () => expect(await building.status()).toBe('WAITING'));
    await building.handle.cancel();
    await expect(building.result()).rejects.toThrow();
    expect(world.dropped).toEqual([world.next]);
    worldOf('held', 10);
    const holding = await start({ holdMs: 3_000 });
    await eventually(async () => expect(await holding.status()).toBe('HOLDING'));
    await holding.handle.cancel();
    expect(await holding.result()).toMatchObject({ state: 'LIVE' });
    expect(world.dropped).toEqual([world.old]);
  }, 60_000);
});

describe('fitEmbedder', () => {
  it('ends DONE with its generation opened, or FAILED with the code', async () => {
    const run = async (fitId: string): Promise<FitEmbedderResult> => {
      const input: FitEmbedderInput = {
        ...{ tenant: 'default', fitId, maxTexts: 10 },
        limits: { ...defaultCareLimits, retryIntervalMs: 20, maxAttempts: 2 },
      };
      return bench.temporal().client.workflow.execute('fitEmbedder', {
        taskQueue: 'orchestration',
        workflowId: etlWorkflowId('default', fitId),
        args: [input],
      }) as Promise<FitEmbedderResult>;
    };
    worldOf('fit', 1, 'FITTING');
    expect(await run('fit_a')).toEqual({ fitId: 'fit_a', state: 'DONE' });
    expect(world.of(world.next).state).toBe('BUILDING');
    worldOf('nofit', 1, 'FITTING');
    world.fitCode = 'x';
    expect(await run('fit_b')).toEqual({
      fitId: 'fit_b',
      state: 'FAILED',
      code: 'EMBEDDER_MISCONFIGURED',
    });
  }, 60_000);
});
