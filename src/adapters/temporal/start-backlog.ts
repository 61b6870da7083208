import type { Connection } from '@temporalio/client';
import type { Backlog } from '../../domain/admission/backlog-gate.js';

/** gRPC: workflow and activity tasks. */
const taskQueueTypes = [1, 2];
const DEADLINE_MS = 2_000;

const msOf = (age: { seconds?: unknown; nanos?: number | null } | null | undefined): number =>
  Number(age?.seconds ?? 0) * 1_000 + (age?.nanos ?? 0) / 1e6;

/**
 * What waits in a task queue by priority, and how fast it is taken: of workflow and activity tasks the slower.
 * @throws where Temporal does not answer within 2 s
 */
export async function readStartBacklog(
  connection: Connection,
  of: { namespace: string; queue: string },
): Promise<Backlog> {
  const kinds = await connection.withDeadline(Date.now() + DEADLINE_MS, () =>
    Promise.all(
      taskQueueTypes.map((taskQueueType) =>
        connection.workflowService.describeTaskQueue({
          namespace: of.namespace,
          taskQueue: { name: of.queue },
          taskQueueType,
          reportStats: true,
        }),
      ),
    ),
  );
  const byPriority: Record<number, { tasks: number; ageMs: number }> = {};
  let dispatchPerSecond = Infinity;
  for (const { stats, statsByPriorityKey } of kinds) {
    if (Number(stats?.approximateBacklogCount ?? 0) > 0)
      dispatchPerSecond = Math.min(dispatchPerSecond, stats?.tasksDispatchRate ?? 0);
    for (const [priority, own] of Object.entries(statsByPriorityKey ?? {})) {
      const held = (byPriority[Number(priority)] ??= { tasks: 0, ageMs: 0 });
      held.tasks += Number(own.approximateBacklogCount ?? 0);
      held.ageMs = Math.max(held.ageMs, msOf(own.approximateBacklogAge));
    }
  }
  return { byPriority, dispatchPerSecond };
}
