import { reconcileOnce, type ReconcileDeps } from '../../src/activities/reconcile/index.js';
import type { ListedRun, StandingWork } from '../../src/activities/reconcile/reconcile-deps.js';
import { workflowTypes } from '../../src/domain/reconcile/workflow-types.js';

const NOW = 10_000_000;
const restored = { restorationId: 'rst_1', recoveredToMs: NOW - 600_000 };

const listed = (workflowId: string, of: Partial<ListedRun> = {}): ListedRun => ({
  workflowId,
  workflowType: 'infer',
  runId: `run of ${workflowId}`,
  status: 'RUNNING',
  startedMs: NOW - 900_000,
  closedMs: null,
  progressedMs: null,
  ...of,
});
const standing = (workflowId: string, settledMs: number | null = null): StandingWork => ({
  start: {
    workflowId,
    workflowType: 'infer',
    taskQueue: 'inference',
    input: { tenant: 'acme' },
    options: { summary: '', searchAttributes: {}, priorityKey: 3 },
    startedBy: 'relay',
  },
  committedMs: NOW - 901_000,
  settledMs,
  restarts: 0,
  restartAskedOf: new Set(),
});

/** Both stores as a pass sees them, and all that it does to them, in order. */
function world(stores: {
  running?: ListedRun[];
  closed?: ListedRun[];
  /** What a look at one run says; the lists by default. */
  described?: ListedRun[];
  open?: StandingWork[];
  works?: StandingWork[];
}) {
  const { running = [], closed = [], open = [] } = stores;
  const described = stores.described ?? [...running, ...closed];
  const works = stores.works ?? open;
  const done: string[] = [];
  const deps: ReconcileDeps = {
    tenants: async () => ['acme'],
    ownTypes: workflowTypes,
    openWork: async () => open,
    workOf: async (_tenant, ids) => works.filter(({ start }) => ids.includes(start.workflowId)),
    recordDivergences: async ({ tenant }, found) => {
      done.push(...found.map(({ kind, workflowId }) => `${tenant} lists ${kind} ${workflowId}`));
      return found;
    },
    countOpen: async () => [],
    listRunning: async () => running,
    listClosedAfter: async () => closed,
    describeRun: async (id) => described.find(({ workflowId }) => workflowId === id),
    progressedAt: async () => NOW,
    stopRun: async ({ workflowId }) => void done.push(`stops ${workflowId}`),
    restartWorkflow: async (_tenant, { workflowId }, { replaceRunning }) =>
      void done.push(`${replaceRunning ? 'replaces' : 'starts'} ${workflowId}`),
    nowMs: () => NOW,
    found: () => undefined,
    publishOpen: () => undefined,
    log: { warn: () => undefined },
  };
  return { deps, done };
}

describe('a pass of the reconciler', () => {
  it('lists a divergence before it acts on it', async () => {
    const { deps, done } = world({ open: [standing('infer/acme/1')] });
    expect(await reconcileOnce(deps, undefined)).toEqual({ MISSING_RUN: 1 });
    expect(done).toEqual(['acme lists MISSING_RUN infer/acme/1', 'starts infer/acme/1']);
  });

  it('leaves alone what settled and ended while it looked', async () => {
    const { deps, done } = world({
      open: [standing('infer/acme/1')],
      described: [listed('infer/acme/1', { status: 'COMPLETED', closedMs: NOW })],
      works: [standing('infer/acme/1', NOW)],
    });
    expect(await reconcileOnce(deps, undefined)).toEqual({});
    expect(done).toEqual([]);
  });

  it('leaves alone what began while it looked', async () => {
    const { deps, done } = world({
      open: [standing('infer/acme/1')],
      described: [listed('infer/acme/1')],
    });
    await reconcileOnce(deps, undefined);
    expect(done).toEqual([]);
  });

  it('does not stop a run that the list shows and that has ended', async () => {
    const { deps, done } = world({
      running: [listed('infer/acme/1')],
      described: [listed('infer/acme/1', { status: 'COMPLETED' })],
      works: [standing('infer/acme/1', NOW - 500_000)],
    });
    await reconcileOnce(deps, undefined);
    expect(done).toEqual([]);
  });

  it('stops a run of a tenant that is gone, and writes that to the chain of the installation', async () => {
    const { deps, done } = world({ running: [listed('infer/gone/1')] });
    await reconcileOnce(deps, undefined);
    expect(done).toEqual(['system lists ORPHANED_RUN infer/gone/1', 'stops infer/gone/1']);
  });

  it('leaves runs of other workflows alone, whatever their ids are', async () => {
    const { deps, done } = world({
      running: [listed('order/acme/1', { workflowType: 'ship' }), listed('alone')],
    });
    await reconcileOnce(deps, undefined);
    expect(done).toEqual([]);
  });

  it('[F31] after a restore replaces runs that went on, and stops those that others start again', async () => {
    const batch = listed('etl/acme/bat_1', { workflowType: 'ingestBatch' });
    const { deps, done } = world({
      running: [listed('infer/acme/1'), batch],
      closed: [listed('infer/acme/2', { status: 'COMPLETED', closedMs: NOW })],
      works: [standing('infer/acme/1')],
    });
    expect(await reconcileOnce(deps, restored)).toEqual({ RUN_AHEAD: 2, EFFECT_IN_DOUBT: 1 });
    expect(done).toEqual([
      'acme lists RUN_AHEAD infer/acme/1',
      'acme lists EFFECT_IN_DOUBT infer/acme/2',
      'replaces infer/acme/1',
      'system lists RUN_AHEAD etl/acme/bat_1',
      'stops etl/acme/bat_1',
    ]);
  });
});
