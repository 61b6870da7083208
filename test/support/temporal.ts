import { randomBytes } from 'node:crypto';
import { connectTemporal, type TemporalClient } from '../../src/adapters/temporal/connect.js';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { translateErrors } from '../../src/activities/translate-errors.js';
import { loadWorkflowBundles } from '../../src/main/workflow-bundle.js';
import { createSilentPlugin } from '../../src/main/telemetry.js';
import { faults, plantFault } from './plant-fault.js';
import { workerRoles, type WorkerRole, type WorkflowQueue } from '../../src/domain/task-queues.js';

const required = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run tests through \`npm test\``);
  return value;
};

const plantedFaults = (client: TemporalClient['client']) => {
  const named = process.env['ANNEAL_TEST_FAULT'];
  const fault = faults.find((each) => each === named);
  return fault === undefined ? [] : [plantFault(fault, client)];
};

/** A connection to the run's Temporal server with a namespace of this test file alone. */
export interface TestTemporal extends TemporalClient {
  address: string;
  namespace: string;
  native: NativeConnection;
  /**
   * Workers on all four queues with these activities; stop them before the test ends. Workflows run on `orchestration`
   * and on what `workflowsOn` names besides: each costs a thread that loads the bundle.
   */
  startWorkers: (
    activities: object,
    options?: Partial<WorkerOptions>,
    workflowsOn?: readonly WorkflowQueue[],
  ) => Promise<{ stop: () => Promise<void> }>;
  stop: () => Promise<void>;
}

/**
 * Connects a test file to the run's server. Every file gets its own namespace, because the queues are named by role:
 * workers of two files never take each other's tasks.
 */
export async function connectTestTemporal(): Promise<TestTemporal> {
  const address = required('ANNEAL_TEST_TEMPORAL_ADDRESS');
  const namespace = `test-${randomBytes(6).toString('hex')}`;
  const temporal = await connectTemporal({
    connection: { address },
    namespace,
    patienceMs: 20_000,
  });
  await temporal.connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
  });
  const { registerSearchAttributes } =
    await import('../../src/adapters/temporal/register-search-attributes.js');
  await usable(temporal, namespace);
  await registerSearchAttributes(temporal.connection, namespace);
  const native = await NativeConnection.connect({ address });
  const startWorkers: TestTemporal['startWorkers'] = async (
    activities,
    options = {},
    workflowsOn = [],
  ) => {
    const bundles = await loadWorkflowBundles(required('ANNEAL_WORKFLOW_BUNDLE'));
    const bundleOn: Partial<Record<WorkerRole, (typeof bundles)['all']>> = {
      orchestration: bundles.all,
      ...Object.fromEntries(
        workflowsOn.map((queue) => [
          queue,
          queue === 'inference' ? bundles.inference : bundles.all,
        ]),
      ),
    };
    const workers = await Promise.all(
      workerRoles.map((taskQueue) =>
        Worker.create({
          connection: native,
          namespace,
          taskQueue,
          ...(bundleOn[taskQueue] === undefined ? {} : { workflowBundle: bundleOn[taskQueue] }),
          activities,
          interceptors: {
            activity: [() => ({ inbound: translateErrors }), ...plantedFaults(temporal.client)],
          },
          stickyQueueScheduleToStartTimeout: '1s',
          maxCachedWorkflows: 100,
          // The bundle carries the tracing interceptors: without their sink each span is a line of noise.
          plugins: [createSilentPlugin()],
          ...options,
        }),
      ),
    );
    const runs = workers.map((worker) => worker.run());
    return {
      stop: async () => {
        for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
        await Promise.all(runs);
      },
    };
  };
  return {
    ...temporal,
    address,
    namespace,
    native,
    startWorkers,
    stop: async () => {
      await native.close();
      await temporal.close();
    },
  };
}

/** A new namespace is known to the frontend's cache a moment after it is registered. */
async function usable(temporal: TemporalClient, namespace: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await temporal.connection.workflowService.describeNamespace({ namespace });
      return;
    } catch (error) {
      if (tries > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
