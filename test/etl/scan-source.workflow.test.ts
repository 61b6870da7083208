import { PlatformError } from '../../src/domain/errors.js';
import {
  compactGenerationStart,
  defaultCareLimits,
  defaultScanLimits,
  etlWorkflowId,
  parseEtlWorkflowId,
  type ScanLimits,
  type ScanSourceInput,
  type ScanSourceResult,
} from '../../src/domain/etl/contract.js';
import { eventually } from '../support/eventually.js';
import { workflowBench } from '../support/workflow-bench.js';
import { BatchWorld, textOf } from './batch-world.js';

const bench = workflowBench(new BatchWorld(), (one) => one.activities());
let world: BatchWorld;
beforeEach(() => {
  world = bench.use(new BatchWorld());
});

const listed = (from: number, count: number) =>
  Array.from({ length: count }, (_, at) => ({ naturalKey: `${from + at}.md`, token: 't' }));

const pagesOf = (count: number, perPage: number) =>
  Array.from({ length: count }, (_, page) => ({
    entries: listed(page * perPage, perPage),
    cursor: page === count - 1 ? undefined : String(page + 1),
    complete: true,
  }));
let scans = 0;

async function scan(limits: Partial<ScanLimits> = {}) {
  const scanId = `scn_${(scans += 1)}`;
  const input: ScanSourceInput = {
    ...{ tenant: world.tenant, scanId, sourceId: 'src_1' },
    limits: { ...defaultScanLimits, retryIntervalMs: 20, maxAttempts: 2, ...limits },
  };
  const handle = await bench.temporal().client.workflow.start('scanSource', {
    taskQueue: 'orchestration',
    workflowId: etlWorkflowId(world.tenant, scanId),
    args: [input],
  });
  const wake = () => handle.executeUpdate('wake', { args: [{ factId: scanId }] });
  return { handle, wake, result: () => handle.result() as Promise<ScanSourceResult> };
}

const isWaiting = () =>
  eventually(() => expect(world.scanWaitsUntilMs).toBeDefined(), { timeoutMs: 20_000 });

describe('scanSource', () => {
  it('lists page by page from where it was, over several runs, and applies once', async () => {
    world.pages = pagesOf(7, 10);
    world.scanKnown = 70;
    const { handle, result } = await scan({ pagesPerRun: 3 });
    expect(await result()).toMatchObject({ state: 'APPLIED', pages: 7, entries: 70, upserts: 70 });
    expect(world.pageCursors).toEqual([undefined, '1', '2', '3', '4', '5', '6']);
    const { events } = await bench
      .temporal()
      .client.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId)
      .fetchHistory();
    // Six a page; start, look-up of the intent and continue-as-new are eleven.
    expect(events?.length).toBeLessThanOrEqual(3 * 6 + 11);
  }, 60_000);

  it('a page that cannot be read fails the scan, and nothing is deleted', async () => {
    world.pages = pagesOf(3, 10).slice(0, 2);
    world.scanKnown = 500;
    const { result } = await scan();
    expect(await result()).toMatchObject({
      ...{ state: 'FAILED', code: 'SOURCE_UNAVAILABLE', deletes: 0 },
    });
    expect(world.scanFailed).toBe('SOURCE_UNAVAILABLE');
    expect(world.paused).toEqual([]);
  }, 60_000);

  it('a source that no retry can list is paused with the reason, so that no further scan fails on it', async () => {
    world.listFails = new PlatformError('SOURCE_CONFIG_INVALID', 'The folder is not allowed.');
    const { result } = await scan();
    expect(await result()).toMatchObject({ state: 'FAILED', code: 'SOURCE_CONFIG_INVALID' });
    expect(world.scanFailed).toBe('SOURCE_CONFIG_INVALID');
    expect(world.paused).toEqual(['SOURCE_CONFIG_INVALID']);
  }, 60_000);

  it('a scan that would delete 30 of 100 documents waits, and deletes once a person has decided', async () => {
    world.pages = pagesOf(1, 70);
    world.scanKnown = 100;
    const { wake, result, handle } = await scan();
    await isWaiting();
    const status = () => handle.query<{ state: string; waitingOn: string }>('getStatus');
    await eventually(async () =>
      expect(await status()).toMatchObject({ state: 'WAITING', waitingOn: 'human' }),
    );
    await wake();
    expect(await status()).toMatchObject({ state: 'WAITING' });
    world.scanDecision = 'APPLY';
    await wake();
    expect(await result()).toMatchObject({ state: 'APPLIED', deletes: 30 });
  }, 60_000);

  it('a decision against it, or none in time, discards the deletions', async () => {
    world.pages = pagesOf(1, 70);
    world.scanKnown = 100;
    const refused = await scan();
    await isWaiting();
    world.scanDecision = 'DISCARD';
    await refused.wake();
    expect(await refused.result()).toMatchObject({ state: 'DISCARDED', deletes: 0 });
    world = bench.use(new BatchWorld());
    world.pages = pagesOf(1, 70);
    world.scanKnown = 100;
    const late = await scan({ decisionMs: 500 });
    expect(await late.result()).toMatchObject({ state: 'DISCARDED', deletes: 0 });
  }, 60_000);

  it('a few deletions, or a small share of many, never wait', async () => {
    world.pages = pagesOf(1, 10);
    world.scanKnown = 30;
    expect(await (await scan()).result()).toMatchObject({ state: 'APPLIED', deletes: 20 });
  }, 60_000);
});

describe('care of a generation', () => {
  const start = (workflowType: string, input: Record<string, unknown>, id: string) =>
    bench.temporal().client.workflow.start(workflowType, {
      taskQueue: 'orchestration',
      workflowId: etlWorkflowId(world.tenant, id),
      args: [{ tenant: world.tenant, generationId: 'gen_1', limits: defaultCareLimits, ...input }],
    });

  it('a reconcile looks at 16 slices in fewer than 150 events, removes orphans and writes what is missing', async () => {
    const row = { rowId: 'r1', docId: 'd1', textHash: 'h1', embedText: textOf('x'), page: 0 };
    world.missing = [{ ...row, metadata: {}, acl: ['public'], aclHash: 'a1' }];
    const input = { reconcileId: 'rec_1', slices: 16 };
    const handle = await start('reconcileGeneration', input, 'rec_1');
    expect(await handle.result()).toMatchObject({
      ...{ state: 'DONE', rows: 160, orphans: 1, missing: 1, stale: 0 },
    });
    expect((await handle.fetchHistory()).events?.length).toBeLessThan(150);
    expect(world.sink.rows.get('r1')).toMatchObject({ acl: ['public'] });
    expect(world.settled).toEqual(['rec_1 DONE']);
  }, 60_000);

  it('a store that asks for it is compacted once, in fewer than 50 events', async () => {
    const named = { tenant: world.tenant, compactionId: 'cmp_1', generationId: 'gen_1' };
    const { workflowId, workflowType, input } = compactGenerationStart(named);
    expect(parseEtlWorkflowId(workflowId)).toEqual({ tenant: world.tenant, id: 'cmp_1' });
    const handle = await start(workflowType, input, 'cmp_1');
    expect(await handle.result()).toMatchObject({ state: 'COMPACTED' });
    expect(world.sink.compactions).toBe(1);
    expect((await handle.fetchHistory()).events?.length).toBeLessThan(50);
  }, 60_000);
});
