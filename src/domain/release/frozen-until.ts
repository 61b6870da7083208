import type { ReleasePlan } from './contract.js';

/**
 * When the freeze that is on now ends, or null. Windows that touch or overlap hold as one; a window includes its start
 * and excludes its end. A freeze stops increases of weight, never a rollback.
 * @param nowMs the database's clock, ms since the epoch
 */
export function frozenUntil(windows: ReleasePlan['freezeWindows'], nowMs: number): number | null {
  let until: number | null = null;
  const spans = windows
    .map(({ from, to }) => ({ from: Date.parse(from), to: Date.parse(to) }))
    .sort((a, b) => a.from - b.from);
  for (const { from, to } of spans) {
    if (from <= (until ?? nowMs) && to > (until ?? nowMs)) until = to;
  }
  return until;
}
