import { activityInfo } from '@temporalio/activity';
import { loadConfig } from '../../src/config.js';
import type { InferInput, InferStepResult } from '../../src/domain/inference/contract.js';
import { createLog } from '../../src/main/log.js';
import { createMetrics } from '../../src/main/metrics.js';
import { createSilentPlugin } from '../../src/main/telemetry.js';
import { cachedWorkflowsOf, createWorkers } from '../../src/main/temporal-workers.js';
import { loadWorkflowBundles } from '../../src/main/workflow-bundle.js';
import { testEnvironment } from '../support/model-runtime.js';
import { pause } from '../support/pause.js';
import { connectTestTemporal, type TestTemporal } from '../support/temporal.js';

const RUNS = 120;

let temporal: TestTemporal;
beforeAll(async () => {
  temporal = await connectTestTemporal();
}, 60_000);
afterAll(() => temporal.stop());

test('a worker that is to keep no workflow in memory runs each local step once all the same', async () => {
  const steps = new Map<string, number>();
  const inferStep = async (): Promise<InferStepResult> => {
    const { workflowId } = activityInfo().workflowExecution ?? { workflowId: '' };
    steps.set(workflowId, (steps.get(workflowId) ?? 0) + 1);
    await pause(50);
    return { kind: 'settled', status: 'SUCCEEDED' };
  };
  const [worker] = await createWorkers(
    { ...loadConfig().worker, roles: ['inference'], maxCachedWorkflows: 0 },
    {
      connection: temporal.native,
      namespace: temporal.namespace,
      bundles: await loadWorkflowBundles(testEnvironment['ANNEAL_WORKFLOW_BUNDLE']),
      activities: { inferStep },
      metrics: createMetrics(),
      log: createLog({ logLevel: 'error' }, 'worker'),
      plugins: [createSilentPlugin()],
    },
  );
  if (worker === undefined) throw new Error('no worker');
  await worker.runUntil(
    Promise.all(
      Array.from({ length: RUNS }, (_, n) => {
        const input: InferInput = {
          tenant: 'acme',
          inferenceId: `inf_${n}`,
          local: true,
          stepTimeoutMs: 11_000,
        };
        return temporal.client.workflow.execute('infer', {
          workflowId: `infer/acme/${n}`,
          taskQueue: 'inference',
          workflowTaskTimeout: '20s',
          args: [input],
        });
      }),
    ),
  );
  expect(steps.size).toBe(RUNS);
  expect([...steps.values()].filter((times) => times > 1)).toEqual([]);
}, 120_000);

test('a larger memory is what was asked for, and queues without local steps may have none', () => {
  expect(cachedWorkflowsOf('inference', 500)).toBe(500);
  expect(cachedWorkflowsOf('orchestration', 0)).toBe(0);
});
