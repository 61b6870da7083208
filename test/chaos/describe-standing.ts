import { readFile } from 'node:fs/promises';
import type { ProductStack } from './product-stack.js';

const LINES_OF_A_LOG = 15;

/** What each run waits for. */
async function waitingRuns(stack: ProductStack): Promise<string[]> {
  const { workflow } = await stack.temporal();
  const lines: string[] = [];
  for await (const { workflowId } of workflow.list({ query: "ExecutionStatus='Running'" })) {
    const { raw } = await workflow.getHandle(workflowId).describe();
    const { pendingActivities, pendingWorkflowTask } = raw;
    const activities = (pendingActivities ?? []).map(
      ({ activityType, state, attempt, lastFailure, lastStartedTime }) =>
        `${activityType?.name ?? '?'} state ${state ?? '?'} attempt ${attempt ?? '?'} started ${String(lastStartedTime?.seconds ?? 'never')} ${lastFailure?.message ?? ''}`,
    );
    if (pendingWorkflowTask !== undefined && pendingWorkflowTask !== null)
      activities.push(
        `workflow task state ${pendingWorkflowTask.state ?? '?'} attempt ${pendingWorkflowTask.attempt ?? '?'}`,
      );
    lines.push(`${workflowId}: ${activities.join(', ') || 'nothing pending'}`);
  }
  return lines;
}

/** Sessions of Postgres in the middle of something, and who stands in their way. */
async function busySessions(stack: ProductStack): Promise<string[]> {
  const rows = await stack.sql(
    `select pid, application_name as name, state, coalesce(wait_event, 'nothing') as waits_for, pg_blocking_pids(pid)::text as blocked_by,
       extract(epoch from now() - xact_start)::int as seconds, left(query, 120) as query
     from pg_stat_activity where state <> 'idle' and pid <> pg_backend_pid() order by xact_start`,
  );
  return rows.map((row) => `postgres ${JSON.stringify(row)}`);
}

async function tailOf({ name, logFile }: { name: string; logFile: string }): Promise<string[]> {
  const lines = (await readFile(logFile, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.slice(-LINES_OF_A_LOG).map((line) => `${name} | ${line}`);
}

/**
 * What a product looks like that does not go on any more, for whoever has nothing but what the run has printed: processes
 * that ended by themselves, what runs and sessions wait for, and the last lines of the processes at work.
 */
export async function describeStanding(stack: ProductStack): Promise<string[]> {
  const { worker, api } = stack;
  const atWork = [worker, api].filter((each) => each !== undefined);
  const found = await Promise.allSettled([
    Promise.resolve(stack.supervisor.takeDied().map((who) => `${who} ended by itself`)),
    Promise.resolve(atWork.map(({ name, end }) => `${name}: ${end ?? 'alive'}`)),
    waitingRuns(stack),
    busySessions(stack),
    ...atWork.map(tailOf),
  ]);
  return found.flatMap((each) =>
    each.status === 'fulfilled' ? each.value : [`(not found out: ${String(each.reason)})`],
  );
}
