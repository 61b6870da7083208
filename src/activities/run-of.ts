import { activityInfo } from '@temporalio/activity';
import type { Caller } from '../domain/events/change.js';
import { currentRequestId } from './request-id.js';

/** The run that the current activity belongs to. All of ours belong to one. */
export function runOf(): { workflowId: string; runId: string } {
  const run = activityInfo().workflowExecution;
  if (run === undefined) throw new Error('this activity runs inside a workflow only');
  return run;
}

/** The workflow as the author of a change: what its audit entries say. */
export function workflowCaller(tenant: string): Caller {
  const { workflowId, runId } = runOf();
  return {
    tenant,
    workflowId,
    runId,
    requestId: currentRequestId(),
    actor: { subject: `workflow:${workflowId}`, kind: 'system', roles: [], via: 'workflow' },
  };
}
