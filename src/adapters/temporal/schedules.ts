import { type Client, ScheduleAlreadyRunning, ScheduleNotFoundError } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { scheduleIdOf, scheduleIdPrefix, type ScheduledWork } from '../../domain/etl/due-work.js';
import { searchAttributes } from '../../domain/search-attributes.js';

/** A Schedule as the server lists it, its times rounded to seconds. */
export interface ListedSchedule {
  scheduleId: string;
  everyMs: number | undefined;
  offsetMs: number | undefined;
}

const CATCH_UP_MAX_MS = 12 * 3_600_000;
const CATCH_UP_MIN_MS = 10_000;

const actionOf = (due: ScheduledWork) => {
  const { tenant, work, id } = due;
  return {
    type: 'startWorkflow' as const,
    workflowType: 'startDueWork',
    // The server appends the time: one run a firing.
    workflowId: `${scheduleIdPrefix}${tenant}/${work}-${id}`,
    taskQueue: 'orchestration',
    args: [{ tenant, work, id }],
    staticSummary: `${work} of ${id} is due`,
    typedSearchAttributes: new TypedSearchAttributes([
      { key: searchAttributes.Tenant, value: tenant },
      { key: searchAttributes.Target, value: id },
      { key: searchAttributes.Phase, value: 'RUNNING' },
      { key: searchAttributes.WaitingOn, value: 'nothing' },
    ]),
  };
};

const timesOf = ({ everyMs, offsetMs, jitterMs }: ScheduledWork) => ({
  spec: { intervals: [{ every: everyMs, offset: offsetMs % everyMs }], jitter: jitterMs },
  policies: {
    overlap: 'SKIP' as const,
    // What was missed while Temporal was away is made up for once, unless the next one comes first.
    catchupWindow: Math.min(CATCH_UP_MAX_MS, Math.max(CATCH_UP_MIN_MS, everyMs)),
  },
});

/** Schedules of work by the clock; every function may be repeated. */
export const createSchedules = (client: Client) => ({
  /** All Schedules of this kind. The server's list is a little behind. */
  list: async (): Promise<ListedSchedule[]> => {
    const found: ListedSchedule[] = [];
    for await (const { scheduleId, spec } of client.schedule.list()) {
      if (!scheduleId.startsWith(scheduleIdPrefix)) continue;
      const [interval] = spec?.intervals ?? [];
      found.push({ scheduleId, everyMs: interval?.every, offsetMs: interval?.offset });
    }
    return found;
  },
  /** Makes the Schedule, or gives the one that is there its times; one that an operator paused stays so. */
  put: async (due: ScheduledWork): Promise<void> => {
    const scheduleId = scheduleIdOf(due);
    const action = actionOf(due);
    try {
      await client.schedule.create({ scheduleId, action, ...timesOf(due) });
    } catch (error) {
      if (!(error instanceof ScheduleAlreadyRunning)) throw error;
      await client.schedule.getHandle(scheduleId).update(({ state: { paused, note } }) => ({
        action,
        ...timesOf(due),
        state: { paused, ...(note === undefined ? {} : { note }) },
      }));
    }
  },
  remove: async (scheduleId: string): Promise<void> => {
    try {
      await client.schedule.getHandle(scheduleId).delete();
    } catch (error) {
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    }
  },
});
