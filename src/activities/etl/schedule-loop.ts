import { scheduleIdOf, type ScheduledWork } from '../../domain/etl/due-work.js';
import { createPassLoop, type Loop } from '../pass-loop.js';

/** What the schedule loop asks for. */
export interface ScheduleDeps {
  tenants: () => Promise<string[]>;
  /** All work by the clock that the rows of a tenant ask for. */
  scheduledWork: (tenant: string) => Promise<ScheduledWork[]>;
  /** The Schedules that are there; may be a little behind. */
  list: () => Promise<
    { scheduleId: string; everyMs: number | undefined; offsetMs: number | undefined }[]
  >;
  put: (due: ScheduledWork) => Promise<void>;
  remove: (scheduleId: string) => Promise<void>;
  log: { warn: (facts: object, message: string) => void };
  /** Milliseconds between looks at the rows (5,000), and between looks at all Schedules (300,000). */
  intervals?: { rowsMs: number; listMs: number } | undefined;
}

/** The times of a Schedule as text, to compare. */
const timesOf = (everyMs: number | undefined, offsetMs: number | undefined): string =>
  `${everyMs}+${offsetMs}`;

const MISSED = 6;

/**
 * Keeps the Schedules of Temporal equal to the rows of sources and generations, by looking at both: whatever was missed
 * while either was away, or was changed by hand, is put right by the next look. Several loops may run; each step may be
 * repeated. Between looks at all Schedules, the loop goes by what it has put itself.
 */
export function createScheduleLoop(deps: ScheduleDeps): Loop {
  const { rowsMs, listMs } = deps.intervals ?? { rowsMs: 5_000, listMs: 300_000 };
  let known = new Map<string, string>();
  let listedAtMs = -Infinity;

  const wanted = async (): Promise<Map<string, ScheduledWork>> => {
    const all: ScheduledWork[] = [];
    for (const tenant of await deps.tenants()) all.push(...(await deps.scheduledWork(tenant)));
    return new Map(all.map((due) => [scheduleIdOf(due), due]));
  };
  const look = async (signal: AbortSignal): Promise<void> => {
    const rows = await wanted();
    if (performance.now() - listedAtMs > listMs) {
      const listed = await deps.list();
      known = new Map(
        listed.map(({ scheduleId, everyMs, offsetMs }) => [scheduleId, timesOf(everyMs, offsetMs)]),
      );
      listedAtMs = performance.now();
    }
    for (const [scheduleId, due] of rows) {
      if (signal.aborted) return;
      const times = timesOf(due.everyMs, due.offsetMs % due.everyMs);
      if (known.get(scheduleId) === times) continue;
      await deps.put(due);
      known.set(scheduleId, times);
    }
    for (const scheduleId of [...known.keys()]) {
      if (signal.aborted) return;
      if (rows.has(scheduleId)) continue;
      await deps.remove(scheduleId);
      known.delete(scheduleId);
    }
  };
  return createPassLoop({
    pass: look,
    intervalMs: rowsMs,
    patienceMs: Math.max(60_000, rowsMs * MISSED),
    failed: (error) => {
      // What is there is not known any more: the next look lists it.
      listedAtMs = -Infinity;
      deps.log.warn({ reason: String(error) }, 'etl: schedules cannot be kept');
    },
  });
}
