import { fork, type ChildProcess } from 'node:child_process';
import { openSync } from 'node:fs';

/** One supervised process: started again when it dies, until it is stopped. */
export interface Supervised {
  /** Resolves when the process first said it is ready; rejects if it dies before. */
  ready: Promise<void>;
  pid: () => number | undefined;
  stop: () => Promise<void>;
}

const RESTART_MS = 500;

/**
 * Starts an entry of `src/main` and keeps it alive: a process that dies after it was ready is started again half a
 * second later, so that a crash costs seconds, not a restart by hand.
 */
export function supervise(options: {
  name: string;
  entry: string;
  env: Record<string, string>;
  logFile: string;
  say: (line: string) => void;
}): Supervised {
  let child: ChildProcess | undefined;
  let stopping = false;
  let restart: NodeJS.Timeout | undefined;
  let settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
  const ready = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  const start = () => {
    const log = openSync(options.logFile, 'a', 0o600);
    const execArgv = options.entry.endsWith('.ts') ? ['--import', 'tsx'] : [];
    child = fork(options.entry, [], {
      env: options.env,
      execArgv,
      stdio: ['ignore', log, log, 'ipc'],
      detached: true,
    });
    let wasReady = false;
    child.on('message', () => {
      wasReady = true;
      settle?.resolve();
    });
    child.once('exit', (code, signal) => {
      if (stopping) return;
      const how = signal ?? `code ${code}`;
      if (!wasReady) {
        settle?.reject(
          new Error(`${options.name} ended before it was ready (${how}); see ${options.logFile}`),
        );
        return;
      }
      options.say(`${options.name} ended (${how}); starting it again`);
      restart = setTimeout(start, RESTART_MS);
    });
  };
  start();
  return {
    ready,
    pid: () => child?.pid,
    stop: async () => {
      stopping = true;
      clearTimeout(restart);
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child?.once('exit', resolve));
      child.kill('SIGTERM');
      const force = setTimeout(() => child?.kill('SIGKILL'), 30_000);
      await ended;
      clearTimeout(force);
    },
  };
}
