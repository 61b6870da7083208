import type { Parts } from './dependencies.js';

/** A background loop of a process. */
export interface NamedLoop {
  name: string;
  loop: { run: (signal: AbortSignal) => Promise<void>; healthy: () => boolean };
}

/** Runs loops until the signal aborts; one that dies by itself is started again, because each is safe to repeat. */
export function startLoops(parts: Pick<Parts, 'log'>, loops: NamedLoop[], signal: AbortSignal) {
  const keepRunning = async ({ name, loop }: NamedLoop): Promise<void> => {
    while (!signal.aborted) {
      try {
        await loop.run(signal);
      } catch (error) {
        parts.log.error({ loop: name, reason: String(error) }, 'a loop ended; it starts again');
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
    }
  };
  return {
    ended: Promise.all(loops.map(keepRunning)),
    /** Names of the loops that could not do their work lately; undefined where all did. */
    unhealthy: (): string | undefined => {
      const names = loops.filter(({ loop }) => !loop.healthy()).map(({ name }) => name);
      return names.length === 0 ? undefined : names.join(', ');
    },
  };
}
