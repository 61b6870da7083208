import { readFile } from 'node:fs/promises';

/** Kernel ticks a second in `/proc`: 100 on every Linux that Node runs on. */
const TICKS = 100;

/** Processor seconds of all children that have ended, and of theirs; undefined where the system does not say. */
async function endedChildrenS(): Promise<number | undefined> {
  const text = await readFile('/proc/self/stat', 'utf8').catch(() => undefined);
  // The second field is the name in parentheses; the waited-for children's times are the 16th and 17th.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields === undefined ? undefined : (Number(fields[13]) + Number(fields[14])) / TICKS;
}

/** Where a run spends its time, stage by stage. */
export interface StageTimes {
  /** Runs a stage and keeps what it took, however it ends. */
  time: <T>(name: string, work: () => Promise<T>) => Promise<T>;
  /** One line a stage: seconds on the clock, and processor seconds of the processes that ended in it. */
  table: () => string;
}

/** Stages may lie inside one another; each has its own line, in the order in which they end. */
export function createStageTimes(): StageTimes {
  const lines: string[] = [];
  return {
    async time(name, work) {
      const since = performance.now();
      const before = await endedChildrenS();
      try {
        return await work();
      } finally {
        const after = await endedChildrenS();
        const wall = ((performance.now() - since) / 1_000).toFixed(0).padStart(6);
        const cpu =
          before === undefined || after === undefined
            ? ''
            : `, ${(after - before).toFixed(0).padStart(5)} s of processor`;
        lines.push(`  ${name.padEnd(36)}${wall} s${cpu}`);
      }
    },
    table: () => ['Where the time went', ...lines].join('\n'),
  };
}
