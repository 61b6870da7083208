/** A local server as its launcher gives it. */
interface LocalServer {
  pid: number;
  /** Settles when the server ends, however it ends. */
  exited: Promise<unknown>;
  stop: () => Promise<void>;
}

/** Starts a server and owns it from then on. */
export type Keep = <S extends LocalServer>(name: string, start: () => Promise<S>) => Promise<S>;

/** A server that is started again when it dies. */
export interface KeptServer<S> {
  /** The first start. */
  ready: Promise<S>;
  pid: () => number | undefined;
  stop: () => Promise<void>;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;

/**
 * Starts a server and starts it again, with the same arguments on the same files, each time it ends by itself: what is
 * on disk outlives the process, so its death costs seconds. Only the first start may fail.
 */
export function keepServer<S extends LocalServer>(options: {
  name: string;
  start: () => Promise<S>;
  say: (line: string) => void;
  onStart: () => void;
}): KeptServer<S> {
  const { name, start, say, onStart } = options;
  const stopping = new AbortController();
  let current: S | undefined;
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      stopping.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  const begin = async (): Promise<S> => {
    const server = await start();
    current = server;
    onStart();
    return server;
  };
  const beginAgain = async (): Promise<void> => {
    for (
      let ms = FIRST_PAUSE_MS;
      !stopping.signal.aborted;
      ms = Math.min(2 * ms, LONGEST_PAUSE_MS)
    ) {
      await pause(ms);
      if (stopping.signal.aborted) return;
      try {
        await begin();
        say(`${name} is back`);
        return;
      } catch (error) {
        say(`${name} did not start: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  const ready = begin();
  const kept = ready.then(
    async () => {
      while (!stopping.signal.aborted && current !== undefined) {
        const { exited } = current;
        await exited;
        if (stopping.signal.aborted) return;
        say(`${name} ended; starting it again`);
        await beginAgain();
      }
    },
    () => undefined,
  );
  return {
    ready,
    pid: () => current?.pid,
    stop: async () => {
      stopping.abort();
      // A start that is under way ends first, or its server would be left behind.
      await ready.catch(() => undefined);
      await current?.stop();
      await kept;
      await current?.stop();
    },
  };
}
