import type { ProductStack } from './product-stack.js';

const flag = { type: 'boolean', default: false } as const;

/** Options that every harness has, for `parseArgs`. @param kills as many as a full run has */
export const sharedOptions = (kills: number) =>
  ({
    kills: { type: 'string', default: String(kills) },
    seed: { type: 'string' },
    only: { type: 'string' },
    planted: flag,
    fault: { type: 'string' },
    'no-planted': flag,
    keep: flag,
    help: flag,
  }) as const;

/** The seed that was given, else the time. */
export const seedOf = ({ seed }: { seed?: string | undefined }): number =>
  seed === undefined ? Math.floor(Date.now() / 1000) : Number(seed);

/**
 * Starts a stack, works with it and closes it, whatever happens. A signal closes it as well: Postgres and Temporal are
 * asked to stop, so that nothing is left behind; the rounds are not waited for. What a failed run leaves is the only
 * evidence of its cause, so its databases, histories and logs stay.
 * @param work answers whether everything held
 */
export async function withStack<S extends ProductStack>(
  stack: S,
  { keep }: { keep: boolean },
  work: (stack: S) => Promise<boolean>,
): Promise<boolean> {
  const stop = () =>
    void stack
      .close({ keep })
      .catch((error: unknown) => stack.say(String(error)))
      .finally(() => process.kill(process.pid, 'SIGKILL'));
  process.once('SIGINT', stop).once('SIGTERM', stop);
  let held = false;
  try {
    await stack.start();
    held = await work(stack);
    return held;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    const kept = keep || !held;
    await stack.close({ keep: kept });
    if (kept) stack.say(`databases, histories and logs stay in ${stack.stateDir}`);
  }
}

/** Runs a program to its exit code; 1 where it throws. */
export async function runToExitCode(
  main: () => Promise<number>,
  say: (line: string) => void,
): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    say(String(error));
    process.exitCode = 1;
  }
}
