import type { WorkflowExecutionDescription } from '@temporalio/client';
import { makeVersionCurrent } from '../../src/adapters/temporal/make-version-current.js';
import { loadConfig } from '../../src/config.js';
import { defaultWatchLimits, etlWorkflowId } from '../../src/domain/etl/contract.js';
import { taskQueues } from '../../src/domain/task-queues.js';
import { createLog } from '../../src/main/log.js';
import { createMetrics } from '../../src/main/metrics.js';
import { createSilentPlugin } from '../../src/main/telemetry.js';
import { createWorkers, type WorkerParts } from '../../src/main/temporal-workers.js';
import { loadWorkflowBundles } from '../../src/main/workflow-bundle.js';
import { BatchWorld, textOf } from '../etl/batch-world.js';
import { eventually } from '../support/eventually.js';
import { pause } from '../support/pause.js';
import { testEnvironment } from '../support/model-runtime.js';
import { bundleNextBuild } from '../support/next-build-bundle.js';
import { historyJson } from '../support/write-history.js';
import { connectTestTemporal, type TestTemporal } from '../support/temporal.js';

// Two builds of the workers, made as the worker process makes them, swapped while documents keep coming.

const deploymentName = 'anneal-rolling';
const world = new BatchWorld();
const sources = ['src_1', 'src_2', 'src_3'];
const limits = {
  ...defaultWatchLimits,
  window: 2,
  safetyTickMs: 500,
  batch: { ...defaultWatchLimits.batch, maxDocuments: 5, lingerMs: 10, retryIntervalMs: 50 },
};

let temporal: TestTemporal;
beforeAll(async () => {
  temporal = await connectTestTemporal();
}, 60_000);
afterAll(() => temporal.stop());

/** All workers of one build, and the build as the one that new runs go to. */
async function startBuild(buildId: string, bundles: WorkerParts['bundles']) {
  const { worker } = loadConfig();
  const deployment = { deploymentName, buildId };
  const workers = await createWorkers(
    { ...worker, deployment, shutdownGraceMs: 5_000 },
    {
      connection: temporal.native,
      namespace: temporal.namespace,
      bundles,
      activities: world.activities() as WorkerParts['activities'],
      metrics: createMetrics(),
      log: createLog({ logLevel: 'error' }, 'worker'),
      plugins: [createSilentPlugin()],
    },
  );
  const runs = workers.map((each) => each.run());
  await makeVersionCurrent(temporal.connection, {
    namespace: temporal.namespace,
    version: deployment,
    queues: Object.values(taskQueues),
    patienceMs: 30_000,
  });
  return {
    stop: async () => {
      for (const each of workers) each.shutdown();
      await Promise.all(runs);
    },
  };
}

const wake = (sourceId: string) =>
  temporal.client.workflow.signalWithStart('watchSource', {
    taskQueue: 'orchestration',
    workflowId: etlWorkflowId(world.tenant, sourceId),
    args: [{ tenant: world.tenant, sourceId, limits }],
    signal: 'changesRecorded',
    signalArgs: [],
  });

/** Documents that keep coming until it is stopped. */
function startLoad() {
  let written = 0;
  let isOver = false;
  const run = async () => {
    while (!isOver) {
      world.put(`${written}.md`, textOf(`topic ${written}`));
      await wake(sources[written % sources.length] ?? 'src_1');
      written += 1;
      await pause(20);
    }
  };
  const done = run();
  return {
    written: () => written,
    stop: async () => {
      isOver = true;
      await done;
      return written;
    },
  };
}

interface TaskFailed {
  workflowTaskFailedEventAttributes?: { cause: string };
}

interface Run {
  info: WorkflowExecutionDescription;
  build: string | undefined;
}

async function runsOf(type: string): Promise<Run[]> {
  const runs: Run[] = [];
  for await (const info of temporal.client.workflow.list({ query: `WorkflowType = '${type}'` })) {
    const described = await temporal.client.workflow
      .getHandle(info.workflowId, info.runId)
      .describe();
    const version = described.raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion;
    runs.push({ info: described, build: version?.buildId ?? undefined });
  }
  return runs;
}

const live = () => world.states()['LIVE'] ?? 0;

it('[F21] a rolling deployment under load: runs finish on the build they began on, entities move when they continue as new, no run fails', async () => {
  const bundles = await loadWorkflowBundles(testEnvironment['ANNEAL_WORKFLOW_BUNDLE']);
  const { code } = await bundleNextBuild();
  const first = await startBuild('first', bundles);
  const load = startLoad();
  await eventually(() => expect(live()).toBeGreaterThan(20), { timeoutMs: 30_000 });

  let open: () => void = () => undefined;
  world.embedGate = new Promise((resolve) => (open = resolve));
  await eventually(() => expect(world.batchesAtOnce).toBeGreaterThan(0), { timeoutMs: 20_000 });
  const second = await startBuild('second', { ...bundles, all: { code } });
  const held = (await runsOf('ingestBatch')).filter(
    ({ info, build }) => info.status.name === 'RUNNING' && build === 'first',
  );
  expect(held.length).toBeGreaterThan(0);
  open();
  world.embedGate = undefined;
  await eventually(
    async () => {
      const running = (await runsOf('watchSource')).filter(
        ({ info }) => info.status.name === 'RUNNING',
      );
      expect(running.map(({ build }) => build)).toEqual(sources.map(() => 'second'));
    },
    { timeoutMs: 60_000 },
  );
  const atMove = load.written();
  await eventually(() => expect(load.written()).toBeGreaterThan(atMove + 50), {
    timeoutMs: 30_000,
  });
  const written = await load.stop();
  await eventually(() => expect(live()).toBe(written), { timeoutMs: 60_000 });
  world.sourceState = 'DELETED';
  for (const sourceId of sources) await wake(sourceId);
  for (const sourceId of sources) {
    await temporal.client.workflow.getHandle(etlWorkflowId(world.tenant, sourceId)).result();
  }
  await first.stop();
  await second.stop();

  const watches = await runsOf('watchSource');
  const batches = await runsOf('ingestBatch');
  const ends = new Set([...watches, ...batches].map(({ info }) => info.status.name));
  expect([...ends].sort()).toEqual(['COMPLETED', 'CONTINUED_AS_NEW']);
  const heldIds = new Set(held.map(({ info }) => info.runId));
  const finished = batches.filter(({ info }) => heldIds.has(info.runId));
  expect(finished.map(({ build }) => build)).toEqual(held.map(() => 'first'));
  expect(new Set(batches.map(({ build }) => build))).toEqual(new Set(['first', 'second']));
  for (const { info } of [...watches, ...batches]) {
    const handle = temporal.client.workflow.getHandle(info.workflowId, info.runId);
    const { events } = historyJson(await handle.fetchHistory()) as { events: TaskFailed[] };
    const causes = events.flatMap((event) => event.workflowTaskFailedEventAttributes?.cause ?? []);
    // A signal that came while a task was about to end the run: the server asks for another task.
    expect(causes.filter((cause) => !cause.endsWith('UNHANDLED_COMMAND'))).toEqual([]);
  }
  process.stdout.write(
    `rolling deployment: ${written} documents, ${batches.length} batches (${finished.length} held across the switch), ` +
      `${watches.length} runs of ${sources.length} watchers, 0 failed\n`,
  );
}, 240_000);
