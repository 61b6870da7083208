import { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { translateErrors } from '../../src/activities/translate-errors.js';
import { searchAttributes } from '../../src/domain/search-attributes.js';
import { taskQueues } from '../../src/domain/task-queues.js';

/** `temporal.api.enums.v1.IndexedValueType.KEYWORD`: the type of all of ours. */
const KEYWORD = 2;

/** A server on which time passes as fast as nothing happens, with one worker on queue `orchestration`. */
export interface SkippingServer {
  env: TestWorkflowEnvironment;
  /** The server's clock, in milliseconds since the epoch: the database's does not skip. */
  nowMs: () => Promise<number>;
  stop: () => Promise<void>;
}

const serverPath = process.env['ANNEAL_TEST_TIME_SKIPPING_SERVER'];

/**
 * `describe` for stories with their true durations; where no time-skipping server is to be had they are reported as
 * skipped, with the reason. One server per test file: it skips for all its runs at once.
 */
export function describeSkippingTime(title: string, tests: () => void): void {
  if (serverPath !== undefined) {
    describe(title, tests);
    return;
  }
  const reason = 'no time-skipping server: Java or Maven is missing';
  console.warn(`skipped: ${title}: ${reason}`);
  describe.skip(`${title} [skipped: ${reason}]`, tests);
}

/** The SDK gives the server 5 s to start; on a busy machine Java needs longer now and then. */
async function startServer(path: string, tries = 5): Promise<TestWorkflowEnvironment> {
  try {
    return await TestWorkflowEnvironment.createTimeSkipping({
      server: { executable: { type: 'existing-path', path } },
    });
  } catch (error) {
    if (tries <= 1) throw error;
    return startServer(path, tries - 1);
  }
}

/** Starts the server and a worker with these activities. The search attributes come first: an upsert hangs without. */
export async function startSkippingServer(activities: object): Promise<SkippingServer> {
  const bundle = process.env['ANNEAL_WORKFLOW_BUNDLE'];
  if (serverPath === undefined || bundle === undefined) throw new Error('run through `npm test`');
  const env = await startServer(serverPath);
  await env.connection.operatorService.addSearchAttributes({
    namespace: env.namespace ?? 'default',
    searchAttributes: Object.fromEntries(
      Object.keys(searchAttributes).map((name) => [name, KEYWORD]),
    ),
  });
  const worker = await Worker.create({
    connection: env.nativeConnection,
    taskQueue: taskQueues.orchestration,
    workflowBundle: { codePath: bundle },
    activities,
    interceptors: { activity: [() => ({ inbound: translateErrors })] },
  });
  const running = worker.run();
  return {
    env,
    nowMs: () => env.currentTimeMs(),
    stop: async () => {
      worker.shutdown();
      await running;
      await env.teardown();
    },
  };
}
