import { proxyActivities, setCurrentDetails } from '@temporalio/workflow';
import type { createCareActivities } from '../../activities/etl/index.js';
import type { DueResult, DueWork } from '../../domain/etl/due-work.js';
import { bookkeeping } from '../events/bookkeeping.js';
import { trackStatus } from '../events/track-status.js';

/**
 * What a Schedule starts: looks at the row that the Schedule is for, and starts what is due there. RUNNING → STARTED or
 * SKIPPED.
 *
 * A Schedule cannot commit an intent, so there is none to look up: a run that nobody authorised can start no more than
 * the row asks for by itself, and not before it is due. What it starts is authorised like everything else.
 */
export async function startDueWork(input: DueWork): Promise<DueResult> {
  const move = trackStatus({ state: 'RUNNING', waitingOn: 'nothing' });
  const { tenant, work, id } = input;
  const { beginDueWork } = proxyActivities<ReturnType<typeof createCareActivities>>({
    ...bookkeeping,
    summary: `${work} of ${id}`,
  });
  const result = await beginDueWork({ tenant, work, id });
  setCurrentDetails(
    result.state === 'STARTED' ? `started ${result.workflowId}` : `skipped: ${result.reason}`,
  );
  move({ state: result.state, waitingOn: 'nothing' });
  return result;
}
