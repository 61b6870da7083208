import type { ChildProcess } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';

const graceMs = 10_000;

/** False once the child has ended. */
export const isRunning = (child: ChildProcess): boolean =>
  child.exitCode === null && child.signalCode === null;

/** Ends a server that this process started: SIGTERM, after 10 s SIGKILL; returns when it is gone. */
export async function stopDevServer(
  child: ChildProcess,
  exited: Promise<number | null>,
): Promise<void> {
  if (!isRunning(child)) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await exited;
  clearTimeout(timer);
}

/** What the launcher needs of the machine; the composition root passes it. */
export interface ServerProcesses {
  claimPort(claim: { ip: string; wanted: number | undefined; variable: string }): Promise<number>;
  endLeftBehind(server: {
    pid: number;
    what: string;
    isOurs: (commandLine: string) => boolean;
    firstSignal: 'SIGTERM';
    lastSignal: 'SIGKILL';
    log: (line: string) => void;
  }): Promise<boolean>;
}

/** Ends the server that a killed launcher left behind on this very database, known by the pid file beside it. */
export async function stopOrphan(
  dbFilename: string,
  options: { processes: ServerProcesses; log: (line: string) => void },
): Promise<void> {
  const pidFile = pidFileOf(dbFilename);
  const text = await readFile(pidFile, 'utf8').catch(() => undefined);
  if (text === undefined) return;
  await options.processes.endLeftBehind({
    pid: Number(text),
    what: 'Temporal server',
    isOurs: (line) => line.includes('server start-dev') && line.includes(dbFilename),
    firstSignal: 'SIGTERM',
    lastSignal: 'SIGKILL',
    log: options.log,
  });
  await rm(pidFile, { force: true });
}

/** Where the launcher keeps the pid of the server that uses a database. */
export const pidFileOf = (dbFilename: string): string => `${dbFilename}.pid`;
