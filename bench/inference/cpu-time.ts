import { readdirSync, readFileSync } from 'node:fs';

const TICK_MS = 10;

interface Stat {
  pid: number;
  parent: number;
  ms: number;
}

/** One process of /proc, undefined where it has ended meanwhile. */
function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [parent = 0, user = 0, system = 0] = [fields[1], fields[11], fields[12]];
    // Ended children that were waited for stay in their parent's sums.
    const ended = (fields[13] ?? 0) + (fields[14] ?? 0);
    return { pid, parent, ms: (user + system + ended) * TICK_MS };
  } catch {
    return undefined;
  }
}

/**
 * CPU time of process trees so far, in milliseconds; undefined where there is no /proc. On a busy machine it says what a
 * request costs when the clock cannot.
 */
export function cpuTimes(roots: Record<string, number>): Record<string, number> | undefined {
  let pids: number[];
  try {
    pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return undefined;
  }
  const all = pids.map(statOf).filter((stat) => stat !== undefined);
  const treeMs = (root: number): number =>
    all
      .filter(({ parent }) => parent === root)
      .reduce((sum, { pid }) => sum + treeMs(pid), all.find(({ pid }) => pid === root)?.ms ?? 0);
  return Object.fromEntries(Object.entries(roots).map(([name, pid]) => [name, treeMs(pid)]));
}
