/** What waits in the task queues that a start goes through. */
export interface Backlog {
  /** By priority key; 1 is taken first. */
  byPriority: Readonly<Record<number, QueueStats>>;
  /** Tasks a second that were taken lately, all priorities together; infinite where nothing waits. */
  dispatchPerSecond: number;
}

/** Tasks of one priority. */
interface QueueStats {
  tasks: number;
  /** Age of the oldest one. */
  ageMs: number;
}

/**
 * How long a start of this priority would wait, ms: what stands before it at the pace of late, and no less than the oldest
 * of its own priority waits already.
 */
export function waitOfStart({ byPriority, dispatchPerSecond }: Backlog, priority: number): number {
  let before = 0;
  let oldestMs = 0;
  for (const [key, { tasks, ageMs }] of Object.entries(byPriority)) {
    if (Number(key) > priority || tasks === 0) continue;
    before += tasks;
    oldestMs = Math.max(oldestMs, ageMs);
  }
  // Where nothing was taken lately only the age says anything: a queue that nobody polls ages.
  const drainMs = dispatchPerSecond > 0 ? (before / dispatchPerSecond) * 1_000 : 0;
  return Math.max(oldestMs, drainMs);
}

/** True where a start of this priority would begin only when its deadline is over. */
export const missesDeadline = (
  backlog: Backlog,
  of: { priority: number; deadlineMs: number },
): boolean => waitOfStart(backlog, of.priority) >= of.deadlineMs;
