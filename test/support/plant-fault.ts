import type { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';

// `npm run replay:record -- --from-tests` runs the stories of the workflow tests once more while every run meets one fault,
// and keeps histories of what came of it. The tests themselves are not expected to pass then.

/** What each run meets at one of its activities: a failure that is tried again, a cancellation, a time-out. */
export const faults = ['retry', 'cancel', 'timeout'] as const;
export type Fault = (typeof faults)[number];

const TIME_OUT_MS = 1_000;
const HANG_MS = 20_000;

const seconds = (value: number) => ({ seconds: value as never });

/** Which activity, the early ones more often: some runs have no more than one or two. */
const places = [1, 2, 3, 1, 2, 4];

/** The one activity of a run that meets the fault: another in each run, so that a corpus sees many places. */
function isChosen({ activityId, workflowExecution }: Context['info']): boolean {
  const run = workflowExecution?.runId ?? '';
  const place = places[Number.parseInt(run.slice(-4), 16) % places.length];
  return Number(activityId) === place;
}

/** The server itself times the activity out, without a further try. */
async function timeOutSoon(client: Client, { info }: Context): Promise<void> {
  await client.workflowService.updateActivityOptions({
    namespace: info.namespace,
    execution: info.workflowExecution ?? null,
    id: info.activityId,
    activityOptions: {
      startToCloseTimeout: seconds(TIME_OUT_MS / 1_000),
      retryPolicy: { maximumAttempts: 1 },
    },
    updateMask: { paths: ['start_to_close_timeout', 'retry_policy.maximum_attempts'] },
  });
}

/** An interceptor that plants the fault into one activity of every run. */
export const plantFault =
  (fault: Fault, client: Client) =>
  (context: Context): { inbound: ActivityInboundCallsInterceptor } => ({
    inbound: {
      execute: async (input, next) => {
        const { info } = context;
        if (info.attempt > 1 || !isChosen(info)) return next(input);
        if (fault === 'retry') throw ApplicationFailure.retryable('planted');
        if (fault === 'cancel') {
          const { workflowId = '', runId } = info.workflowExecution ?? {};
          await client.workflow.getHandle(workflowId, runId).cancel();
          return next(input);
        }
        if (!info.isLocal) await timeOutSoon(client, context);
        await context.sleep(HANG_MS);
        throw ApplicationFailure.nonRetryable('nothing timed this activity out');
      },
    },
  });
