import type { Client } from '@temporalio/client';
import type { QueueBacklog } from '../../domain/events/platform-health.js';

const secondsOf = (age: { seconds?: unknown; nanos?: number | null } | null | undefined): number =>
  Number(age?.seconds ?? 0) + (age?.nanos ?? 0) / 1e9;

/** What waits in task queues, workflow and activity tasks together, as the server counts it. */
export const createQueueBacklogs = (client: Client, queues: readonly string[]) => ({
  readBacklogs: (): Promise<QueueBacklog[]> =>
    Promise.all(
      queues.map(async (queue) => {
        const kinds = await Promise.all(
          // 1: workflow tasks, 2: activity tasks.
          [1, 2].map((taskQueueType) =>
            client.workflowService.describeTaskQueue({
              namespace: client.options.namespace,
              taskQueue: { name: queue },
              taskQueueType,
              reportStats: true,
            }),
          ),
        );
        return {
          queue,
          tasks: kinds.reduce(
            (sum, { stats }) => sum + Number(stats?.approximateBacklogCount ?? 0),
            0,
          ),
          ageSeconds: Math.max(
            ...kinds.map(({ stats }) => secondsOf(stats?.approximateBacklogAge)),
          ),
        };
      }),
    ),
});
