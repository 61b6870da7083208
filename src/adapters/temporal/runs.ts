import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { RunFacts, RunStatus } from '../../domain/reconcile/judge-run.js';

/** A run as Temporal lists it. */
interface ListedRun extends RunFacts {
  workflowId: string;
  workflowType: string;
}

const known: readonly string[] = [
  'RUNNING',
  'COMPLETED',
  'FAILED',
  'CANCELLED',
  'TERMINATED',
  'TIMED_OUT',
] satisfies RunStatus[];

interface Execution {
  workflowId: string;
  runId: string;
  type: string;
  status: { name: string };
  startTime: Date;
  closeTime?: Date | undefined;
}

const factsOf = (run: Execution): ListedRun => ({
  workflowId: run.workflowId,
  workflowType: run.type,
  runId: run.runId,
  status: known.includes(run.status.name) ? (run.status.name as RunStatus) : 'OTHER',
  startedMs: run.startTime.getTime(),
  closedMs: run.closeTime?.getTime() ?? null,
  progressedMs: null,
});

/** Events that a worker's answer writes: workflow task, activity, update. */
const progress: ReadonlySet<string> = new Set([
  'workflowTaskCompletedEventAttributes',
  'activityTaskCompletedEventAttributes',
  'activityTaskFailedEventAttributes',
  'workflowExecutionUpdateAcceptedEventAttributes',
]);
const PAGE = 1_000;

const millisOf = (time: { seconds?: unknown; nanos?: number | null } | null | undefined): number =>
  Number(time?.seconds ?? 0) * 1_000 + (time?.nanos ?? 0) / 1e6;

async function collect(client: Client, query: string): Promise<ListedRun[]> {
  const found: ListedRun[] = [];
  for await (const run of client.workflow.list({ query, pageSize: PAGE })) found.push(factsOf(run));
  return found;
}

/** Runs as Temporal knows them, and their end from outside. */
export const createRuns = (client: Client) => ({
  /** All runs that are under way. The list is a moment behind what `describeRun` says. */
  listRunning: (): Promise<ListedRun[]> => collect(client, `ExecutionStatus = 'Running'`),
  /** Runs that ended after a time, the ones that went on as new left out. */
  listClosedAfter: (atMs: number): Promise<ListedRun[]> =>
    collect(
      client,
      `CloseTime > '${new Date(atMs).toISOString()}' AND ExecutionStatus != 'ContinuedAsNew'`,
    ),
  /** The newest run under a workflow id; undefined where there is none. */
  describeRun: async (workflowId: string): Promise<ListedRun | undefined> => {
    try {
      return factsOf(await client.workflow.getHandle(workflowId).describe());
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  },
  /** When a worker last carried a run on, in milliseconds since the epoch; null where none ever has. */
  progressedAt: async ({
    workflowId,
    runId,
  }: {
    workflowId: string;
    runId: string;
  }): Promise<number | null> => {
    let token: Uint8Array | undefined;
    do {
      const page = await client.workflowService.getWorkflowExecutionHistoryReverse({
        namespace: client.options.namespace,
        execution: { workflowId, runId },
        maximumPageSize: 50,
        ...(token === undefined ? {} : { nextPageToken: token }),
      });
      const last = page.history?.events?.find(({ attributes }) => progress.has(attributes ?? ''));
      if (last !== undefined) return millisOf(last.eventTime);
      token = page.nextPageToken?.length ? page.nextPageToken : undefined;
    } while (token !== undefined);
    return null;
  },
  /** Ends a run from outside; one that has ended is left as it is. */
  stopRun: async (
    { workflowId, runId }: { workflowId: string; runId: string },
    reason: string,
  ): Promise<void> => {
    try {
      await client.workflow.getHandle(workflowId, runId).terminate(reason);
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  },
});
