import { fork, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** One supervised process: started again when it dies, until it is stopped. */
export interface Supervised {
  /** Resolves when the process first said it is ready; rejects if it dies before. */
  ready: Promise<void>;
  pid: () => number | undefined;
  stop: () => Promise<void>;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
const STOP_MS = 30_000;

/**
 * Starts an entry of `src/main` and keeps it alive: a process that dies after it was ready is started again half a
 * second later, so that a crash costs seconds, not a restart by hand. Where that start fails too, because what it needs
 * is away, the pause doubles up to 10 s.
 */
export function supervise(options: {
  name: string;
  entry: string;
  /** Shown in the process list, so that a process can be told from another installation's. */
  args: string[];
  env: Record<string, string>;
  logFile: string;
  say: (line: string) => void;
  onStart: () => void;
}): Supervised {
  const { name, say } = options;
  let child: ChildProcess | undefined;
  let stopping = false;
  let restart: NodeJS.Timeout | undefined;
  let pauseMs = FIRST_PAUSE_MS;
  let isFirst = true;
  let settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
  const ready = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  const onEnd = (code: number | null, signal: NodeJS.Signals | null) => {
    if (stopping) return;
    const how = signal ?? `code ${code}`;
    if (isFirst) {
      settle?.reject(
        new Error(`${name} ended before it was ready (${how}); see ${options.logFile}`),
      );
      return;
    }
    say(`${name} ended (${how}); starting it again`);
    restart = setTimeout(start, pauseMs);
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
  };
  const start = () => {
    const log = openSync(options.logFile, 'a', 0o600);
    const execArgv = options.entry.endsWith('.ts') ? ['--import', 'tsx'] : [];
    child = fork(options.entry, options.args, {
      env: options.env,
      execArgv,
      stdio: ['ignore', log, log, 'ipc'],
      detached: true,
    });
    closeSync(log);
    child.on('message', () => {
      if (!isFirst) say(`${name} is back`);
      isFirst = false;
      pauseMs = FIRST_PAUSE_MS;
      settle?.resolve();
    });
    child.once('exit', onEnd);
    options.onStart();
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
      const force = setTimeout(() => child?.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(force);
    },
  };
}
