import { execFile } from 'node:child_process';
import {
  chown,
  lstat,
  mkdir,
  readFile,
  readdir,
  readlink,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { PostgresLocation } from './postgres-location.js';

export interface CreateClusterOptions {
  location: PostgresLocation;
  superuserPassword: string;
  durable: boolean;
  env: Readonly<Record<string, string | undefined>>;
  log: (line: string) => void;
}

const orphanGraceMs = 15_000;

/** How a Postgres program is started: its account, a folder that account can enter, messages in English. */
export function runAs({ account }: PostgresLocation, env: CreateClusterOptions['env']) {
  return {
    cwd: '/',
    env: { ...env, LC_ALL: 'C', PGDATA: undefined },
    ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
  };
}

/**
 * Creates the cluster where there is none: page checksums, UTF-8 sorted by code point (the same on every system),
 * passwords for every connection. It appears under its name only when complete.
 */
export async function createCluster(options: CreateClusterOptions): Promise<void> {
  const { location, superuserPassword, durable, env, log } = options;
  if (await isThere(location.clusterDir)) return;
  log('creating the Postgres cluster');
  const fresh = `${location.clusterDir}.new-${process.pid}`;
  const passwordFile = join(location.folder, `.password-${process.pid}`);
  try {
    await mkdir(fresh, { mode: 0o700 });
    await writeFile(passwordFile, `${superuserPassword}\n`, { mode: 0o600 });
    const { account } = location;
    if (account !== undefined) {
      for (const path of [fresh, passwordFile]) await chown(path, account.uid, account.gid);
    }
    await promisify(execFile)(
      join(location.nativeDir, 'bin', 'initdb'),
      [
        ...['-D', fresh, '--username=postgres', `--pwfile=${passwordFile}`],
        ...['--auth=scram-sha-256', '--data-checksums', '--encoding=UTF8', '--locale=C'],
        ...['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions'],
        ...(durable ? [] : ['--no-sync']),
      ],
      runAs(location, env),
    );
    await rename(fresh, location.clusterDir);
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() ?? '';
    throw new Error(`The Postgres cluster cannot be created: ${said || String(error)}`, {
      cause: error,
    });
  } finally {
    await rm(passwordFile, { force: true });
    await rm(fresh, { recursive: true, force: true });
  }
}

/** What the launcher needs of the machine; the composition root passes it. */
export interface ServerProcesses {
  claimPort(claim: { ip: string; wanted: number | undefined; variable: string }): Promise<number>;
  endLeftBehind(server: {
    pid: number;
    what: string;
    isOurs: (commandLine: string) => boolean;
    firstSignal: 'SIGINT';
    lastSignal: 'SIGQUIT';
    log: (line: string) => void;
  }): Promise<boolean>;
  isAlive(pid: number): Promise<boolean>;
}

export interface EndOrphanOptions {
  processes: ServerProcesses;
  log: (line: string) => void;
}

/**
 * Clears the way after a launcher was killed. The pid in `postmaster.pid` may be our server, still running (ended by a
 * fast shutdown); nobody (Postgres handles that); or, after a restart of the machine, a program that has nothing to do
 * with us: that one is left alone and only the file is removed.
 */
export async function endOrphan(clusterDir: string, options: EndOrphanOptions): Promise<void> {
  const pidFile = join(clusterDir, 'postmaster.pid');
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0]);
  const wasOurs = await options.processes.endLeftBehind({
    pid,
    what: 'Postgres server',
    isOurs: (commandLine) => commandLine.includes('postgres') && commandLine.includes(clusterDir),
    firstSignal: 'SIGINT',
    lastSignal: 'SIGQUIT',
    log: options.log,
  });
  await untilUnused(clusterDir);
  if (!wasOurs && pid > 1 && (await options.processes.isAlive(pid))) await rm(pidFile);
}

/** Backends outlive a killed server for a moment, and the next server refuses to start beside them. */
async function untilUnused(clusterDir: string): Promise<void> {
  const deadline = performance.now() + orphanGraceMs;
  while (await hasProcessIn(clusterDir)) {
    if (performance.now() > deadline) {
      throw new Error(`Processes still use ${clusterDir}: end them, then start again.`);
    }
    await delay(20);
  }
}

/** True where a process works in the folder, as every Postgres process does. Linux only; false elsewhere. */
async function hasProcessIn(folder: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const folders = await Promise.all(
    pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')),
  );
  return folders.includes(folder);
}

const isThere = (path: string) =>
  lstat(path).then(
    () => true,
    () => false,
  );
