import { UsageError } from './usage-error.js';

/** How long `--wait` waits without a number. */
export const DEFAULT_WAIT_S = 600;

/** `--wait [seconds]` in milliseconds. @throws UsageError */
export function waitMsOf(wait: string | true): number {
  const seconds = wait === true ? DEFAULT_WAIT_S : Number(wait);
  if (!Number.isFinite(seconds) || seconds < 0)
    throw new UsageError(`--wait ${String(wait)}: give seconds, such as --wait=60.`);
  return seconds * 1_000;
}
