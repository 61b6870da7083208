import type { WatchLimits, WatchResume } from '../../domain/etl/contract.js';
import { SECOND_MS } from '../../domain/units.js';

/** How many batches a watcher may keep at once, and how often in a row they met trouble. */
export type Window = Pick<WatchResume, 'window' | 'troubles'>;

/** A clean batch widens the window by one, up to the limit; trouble halves it, down to 0. */
export function nextWindow(now: Window, clean: boolean, max: number): Window {
  if (clean) return { window: Math.min(max, now.window + 1), troubles: 0 };
  return { window: Math.floor(now.window / 2), troubles: now.troubles + 1 };
}

/** How long a watcher rests at window 0: `restMs`, doubling with each trouble in a row. Milliseconds. */
export const restOf = ({ troubles }: Window, limits: WatchLimits): number =>
  Math.min(limits.restMaxMs, limits.restMs * 2 ** Math.min(20, Math.max(0, troubles - 1)));

/** How long a watcher that waits for others' claims waits before it looks again: 1 s, doubling up to 30 s. Milliseconds. */
export const heldPauseOf = (looks: number): number =>
  Math.min(30 * SECOND_MS, SECOND_MS * 2 ** Math.min(5, looks));

/** A batch that lets nothing go however often it is run is left until its claims lapse, which are counted then. */
const ADOPTIONS = 5;

/**
 * Batches that hold documents and that nobody runs: a worker that stood still claimed for a batch which had ended without it,
 * or the watcher before was stopped. Only they can finish what they hold, so they are run again.
 * @param adopted how often each was taken before; counted up here
 */
export function adoptOrphans(
  holders: readonly string[],
  own: readonly string[],
  adopted: Map<string, number>,
): string[] {
  const orphans = holders.filter(
    (batchId) => !own.includes(batchId) && (adopted.get(batchId) ?? 0) < ADOPTIONS,
  );
  for (const batchId of orphans) adopted.set(batchId, (adopted.get(batchId) ?? 0) + 1);
  return orphans;
}
