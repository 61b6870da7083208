import {
  type NativeConnection,
  Worker,
  type WorkerOptions,
  type WorkerPlugin,
} from '@temporalio/worker';
import type { Config } from '../config.js';
import {
  runsWorkflows,
  taskQueues,
  type WorkerRole,
  type WorkflowQueue,
} from '../domain/task-queues.js';
import { createActivityInterceptors } from './activity-interceptors.js';
import type { createLog } from './log.js';
import type { Metrics } from './metrics.js';
import type { WorkflowBundles } from './workflow-bundle.js';

/** Slots per role: training is heavy and runs one job at a time; inference is short and many. */
const slots: Record<WorkerRole, number> = {
  orchestration: 100,
  inference: 200,
  etl: 4,
  training: 1,
};

const bundleOf = (
  role: WorkflowQueue,
  bundles: WorkerParts['bundles'],
): WorkerParts['bundles']['all'] => (role === 'inference' ? bundles.inference : bundles.all);

const isLocal = (role: WorkerRole): boolean => role === 'inference';

/** Workflow tasks of one worker at once. */
const WORKFLOW_TASK_COUNT = 40;

/**
 * Runs that a worker keeps in memory. A workflow task holds its run there while a local activity of it is under way: with
 * fewer places than tasks the run is thrown out in the middle, its step is repeated after the task has timed out, and so on.
 */
export const cachedWorkflowsOf = (role: WorkerRole, configured: number): number =>
  isLocal(role) ? Math.max(configured, WORKFLOW_TASK_COUNT) : configured;

/** What all workers of one process share. */
export interface WorkerParts {
  connection: NativeConnection;
  namespace: string;
  bundles: WorkflowBundles<{ code: string } | { codePath: string }>;
  activities: Record<string, (...args: never[]) => Promise<unknown>>;
  metrics: Metrics;
  log: ReturnType<typeof createLog>;
  plugins?: WorkerPlugin[];
}

/** One Temporal worker per role. Versioned only where a deployment is configured. */
export function createWorkers(config: Config['worker'], parts: WorkerParts): Promise<Worker[]> {
  const options = (role: WorkerRole): WorkerOptions => ({
    connection: parts.connection,
    namespace: parts.namespace,
    taskQueue: taskQueues[role],
    ...(runsWorkflows(role) ? { workflowBundle: bundleOf(role, parts.bundles) } : {}),
    activities: parts.activities,
    interceptors: { activity: createActivityInterceptors(parts) },
    shutdownGraceTime: config.shutdownGraceMs,
    stickyQueueScheduleToStartTimeout: '1s',
    maxCachedWorkflows: cachedWorkflowsOf(role, config.maxCachedWorkflows),
    maxConcurrentWorkflowTaskExecutions: WORKFLOW_TASK_COUNT,
    // A cancellation travels with a heartbeat: the default throttle would hold it back for most of a minute.
    maxHeartbeatThrottleInterval: '5s',
    maxConcurrentActivityTaskExecutions: slots[role],
    ...(isLocal(role) ? { maxConcurrentLocalActivityExecutions: slots[role] } : {}),
    workflowTaskPollerBehavior: { type: 'autoscaling' },
    activityTaskPollerBehavior: { type: 'autoscaling' },
    ...(parts.plugins === undefined ? {} : { plugins: parts.plugins }),
    ...(config.deployment === undefined
      ? {}
      : {
          workerDeploymentOptions: {
            useWorkerVersioning: true,
            version: config.deployment,
            defaultVersioningBehavior: 'PINNED' as const,
          },
        }),
  });
  return Promise.all(config.roles.map((role) => Worker.create(options(role))));
}
