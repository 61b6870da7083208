import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

/** A server that a killed launcher may have left behind. */
export interface LeftBehind {
  pid: number;
  /** For people: `Temporal server`. */
  what: string;
  /** Recognises the server by its command line; pids are used again, and another program may own this one. */
  isOurs: (commandLine: string) => boolean;
  firstSignal: NodeJS.Signals;
  /** Sent when the first had no effect for 15 s. */
  lastSignal: NodeJS.Signals;
  log: (line: string) => void;
}

export interface PortClaim {
  ip: string;
  /** 0 or undefined takes a free port. */
  wanted: number | undefined;
  /** The environment variable that sets the port. */
  variable: string;
}

const graceMs = 15_000;

/** What the launchers of local servers need of the machine. */
export const serverProcesses = {
  /** The port to use; throws, naming the variable to set, where it is taken. */
  async claimPort({ ip, wanted, variable }: PortClaim): Promise<number> {
    const server = createServer();
    try {
      server.listen({ host: ip, port: wanted ?? 0, exclusive: true });
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    } catch (error) {
      const code = codeOf(error);
      const reason = code === 'EADDRINUSE' ? 'is in use' : `cannot be used (${code})`;
      throw new Error(`Port ${wanted} on ${ip} ${reason}: set ${variable} to a free port.`, {
        cause: error,
      });
    } finally {
      server.close();
    }
  },

  /**
   * Ends a server whose launcher is gone, and returns when it is gone too; false where the process is not that server
   * (or none). Throws where its launcher still runs: that server is in use.
   */
  async endLeftBehind({
    pid,
    what,
    isOurs,
    firstSignal,
    lastSignal,
    log,
  }: LeftBehind): Promise<boolean> {
    const isThere = async () => isOurs((await facts(pid, 'command')) ?? '');
    if (!Number.isSafeInteger(pid) || pid <= 1 || !(await isThere())) return false;
    const parent = Number(await facts(pid, 'parent'));
    if (parent > 1 && /\bnode\b/.test((await facts(parent, 'command')) ?? '')) {
      throw new Error(
        `Anneal already runs on this state folder (process ${parent}): stop it first, or set ANNEAL_STATE_DIR to another folder.`,
      );
    }
    log(`ending the ${what} that an earlier start left behind (process ${pid})`);
    let signal = firstSignal;
    let since = performance.now();
    send(pid, signal);
    while (await isThere()) {
      if (performance.now() - since > graceMs) {
        if (signal === lastSignal)
          throw new Error(`The ${what} ${pid} does not end: end it, then start again.`);
        signal = lastSignal;
        since = performance.now();
        send(pid, signal);
      }
      await delay(20);
    }
    return true;
  },

  /** True where a process with this id runs; false for one that has ended and waits for its parent. */
  async isAlive(pid: number): Promise<boolean> {
    return Boolean(await facts(pid, 'command'));
  },
};

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It ended between the look and the signal.
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

const codeOf = (error: unknown) => String((error as NodeJS.ErrnoException).code);

async function facts(pid: number, fact: 'command' | 'parent'): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const file = fact === 'command' ? 'cmdline' : 'status';
    const text = await readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => undefined);
    return fact === 'command'
      ? text?.replaceAll('\0', ' ')
      : /^PPid:\s*(\d+)/m.exec(text ?? '')?.[1];
  }
  const column = fact === 'command' ? 'command=' : 'ppid=';
  const answer = await promisify(execFile)('ps', ['-o', column, '-p', String(pid)]).catch(
    () => undefined,
  );
  return answer?.stdout.trim();
}
