import type { CliDeps } from '../cli-deps.js';

const SAY_AGAIN_MS = 10_000;

/** One line per change of what is said, and one every ten seconds in between, with the seconds since the start. */
export function createProgress(deps: Pick<CliDeps, 'io' | 'nowMs'>): (text: string) => void {
  const since = deps.nowMs();
  let last = { text: '', atMs: 0 };
  return (text) => {
    const now = deps.nowMs();
    if (text === last.text && now - last.atMs < SAY_AGAIN_MS) return;
    last = { text, atMs: now };
    deps.io.err(`${((now - since) / 1_000).toFixed(1).padStart(6)} s  ${text}`);
  };
}
