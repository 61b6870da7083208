import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type {
  ActivityExecuteInput,
  ActivityInboundCallsInterceptor,
  ActivityInterceptorsFactory,
} from '@temporalio/worker';
import { carryRequestId, currentRequestId } from '../activities/request-id.js';
import { translateErrors } from '../activities/translate-errors.js';
import { traceIdOf } from '../domain/trace-id.js';
import type { createLog } from './log.js';
import type { Metrics } from './metrics.js';

type Info = Parameters<ActivityInterceptorsFactory>[0]['info'];

/** The tenant of an activity's one input object. */
const tenantOf = ([input]: readonly unknown[]): string | undefined => {
  const tenant = (input as { tenant?: unknown } | undefined)?.tenant;
  return typeof tenant === 'string' ? tenant : undefined;
};

/** How an activity that threw ended: cancelled, or failed with the code that the Web UI shows as its type. */
const failure = (error: unknown): { outcome: 'cancelled' | 'failed'; code?: string } => {
  if (error instanceof CancelledFailure) return { outcome: 'cancelled' };
  const code = error instanceof ApplicationFailure ? error.type : undefined;
  return { outcome: 'failed', ...(code == null ? {} : { code }) };
};

/** What a line says of an activity: ids and names, nothing of its input. */
const factsOf = (info: Info, { args, headers }: ActivityExecuteInput) => ({
  activity: info.activityType,
  attempt: info.attempt,
  taskQueue: info.taskQueue,
  tenant: tenantOf(args),
  workflowId: info.workflowExecution?.workflowId,
  runId: info.workflowExecution?.runId,
  activityId: info.activityId,
  traceId: traceIdOf(headers),
});

/** Counts, times and logs every activity that a worker runs. */
const observed = (
  info: Info,
  parts: { metrics: Metrics; log: ReturnType<typeof createLog> },
): ActivityInboundCallsInterceptor => ({
  execute: async (input, next) => {
    const startedAt = performance.now();
    const { metrics, log } = parts;
    try {
      const result = await next(input);
      const seconds = (performance.now() - startedAt) / 1000;
      metrics.observeActivity(info.activityType, 'ok', seconds);
      log.info({ ...factsOf(info, input), outcome: 'ok', seconds }, 'activity');
      return result;
    } catch (error) {
      const seconds = (performance.now() - startedAt) / 1000;
      const ended = failure(error);
      metrics.observeActivity(info.activityType, ended.outcome, seconds);
      log.warn({ ...factsOf(info, input), ...ended, seconds }, 'activity');
      throw error;
    }
  },
});

/** What stands around every activity, outermost first: the request's id, figures and log, one form of errors. */
export const createActivityInterceptors = (parts: {
  metrics: Metrics;
  log: ReturnType<typeof createLog>;
}): ActivityInterceptorsFactory[] => [
  () => ({
    inbound: carryRequestId,
    outbound: {
      getLogAttributes: (input, next) => {
        const requestId = currentRequestId();
        return next(requestId === undefined ? input : { requestId, ...input });
      },
    },
  }),
  ({ info }) => ({ inbound: observed(info, parts) }),
  () => ({ inbound: translateErrors }),
];
