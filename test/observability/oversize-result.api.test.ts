import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { childEnv } from '../../src/config.js';
import { coreMetrics } from '../../src/main/core-metrics.js';
import { eventually } from '../support/eventually.js';
import { testEnvironment } from '../support/model-runtime.js';
import { freePorts } from '../support/stack.js';
import { connectTestTemporal, type TestTemporal } from '../support/temporal.js';

const NAME = 'temporal_activity_execution_failed';
let temporal: TestTemporal;
let worker: ChildProcess;
let port = 0;

beforeAll(async () => {
  temporal = await connectTestTemporal();
  [port = 0] = await freePorts(1);
  const bundle = testEnvironment['ANNEAL_WORKFLOW_BUNDLE'] ?? '';
  worker = fork(
    fileURLToPath(new URL('../support/oversize-worker.ts', import.meta.url)),
    [temporal.address, temporal.namespace, bundle, String(port)],
    { env: childEnv(), execArgv: ['--import', 'tsx', '--no-warnings'], stdio: 'ignore' },
  );
}, 60_000);
afterAll(async () => {
  const ended = once(worker, 'exit');
  worker.kill('SIGTERM');
  await ended;
  await temporal.stop();
}, 60_000);

it('a result beyond the limit is tried again, and counted under the labels that the alert PayloadRejected asks for', async () => {
  const handle = await temporal.client.workflow.start('awaitApproval', {
    workflowId: 'approval/acme/oversize',
    taskQueue: 'orchestration',
    args: [
      {
        tenant: 'acme',
        approvalId: 'oversize',
        model: 'm',
        version: 1,
        env: 'prod',
        deadlineMs: 60_000,
        reminderBp: [],
      },
    ],
  });
  const sample = await eventually(
    async () => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      const line = text
        .split('\n')
        .find((one) => one.startsWith(NAME) && one.includes('"PayloadsTooLarge"'));
      const [, labels = '', count = ''] = /\{(.*)\} (\d+)/.exec(line ?? '') ?? [];
      // More than once: it is no refusal that ends the run.
      expect(Number(count)).toBeGreaterThanOrEqual(2);
      return Object.fromEntries(
        [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', value = '']) => [
          label,
          value,
        ]),
      );
    },
    { timeoutMs: 60_000 },
  );
  expect(sample).toMatchObject({
    activity_type: 'settleApproval',
    workflow_type: 'awaitApproval',
    failure_reason: 'PayloadsTooLarge',
    task_queue: 'orchestration',
  });
  const declared = coreMetrics.find(({ name }) => name === NAME);
  expect(Object.keys(sample)).toEqual(expect.arrayContaining([...(declared?.labels ?? [])]));
  expect((await handle.describe()).status.name).toBe('RUNNING');
  await handle.terminate();
}, 120_000);
