import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serverProcesses } from '../adapters/processes/server-processes.js';

const fileOf = (stateDir: string): string => join(stateDir, 'processes.json');

/** Process ids by name, as they are now; written whole at every start of one. */
export function writeProcesses(stateDir: string, pids: Record<string, number | undefined>): void {
  const path = fileOf(stateDir);
  writeFileSync(`${path}.new`, `${JSON.stringify(pids, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

function readProcesses(stateDir: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(fileOf(stateDir), 'utf8')) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/**
 * Ends the API and the worker that a killed launcher left behind: they stop by themselves, but a running activity may
 * take its grace time, and until then they hold their ports. Servers are ended by whoever starts the next ones.
 */
export async function endLeftBehindProcesses(
  stateDir: string,
  log: (line: string) => void,
): Promise<void> {
  const known = readProcesses(stateDir);
  const end = (name: string) =>
    serverProcesses.endLeftBehind({
      pid: Number(known[name]),
      what: name,
      isOurs: (line) => line.includes(`main/${name}.`) && `${line} `.includes(` ${stateDir} `),
      firstSignal: 'SIGTERM',
      lastSignal: 'SIGKILL',
      log,
    });
  await Promise.all([end('api'), end('worker')]);
}
