import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { createCluster, endOrphan, runAs } from './create-cluster.js';
import { locatePostgres } from './locate-postgres.js';
import type { LocatePostgresOptions } from './locate-postgres.js';
import type { PostgresLocation } from './postgres-location.js';

export interface StartEmbeddedPostgresOptions extends LocatePostgresOptions {
  /** 0 takes a free port. */
  port: number;
  /** Of the role `postgres`; settled when the cluster is created, so it must stay the same afterwards. */
  superuserPassword: string;
  /** False trades safety in a crash of the machine for speed: for tests. True by default. */
  durable?: boolean | undefined;
  /** More server settings, by name. */
  settings?: Readonly<Record<string, string | number>> | undefined;
  /** How long it may take until it answers, in ms: a recovery replays first; 60,000. */
  readyTimeoutMs?: number | undefined;
  /** The server's log, `<stateDir>/postgres.log` by default. */
  logFile?: string | undefined;
}

/** A running embedded Postgres that we started. Loopback only, password (SCRAM-SHA-256) for everyone. */
export interface EmbeddedPostgres {
  /** Connection string of the superuser, database `postgres`. */
  adminUrl: string;
  port: number;
  pid: number;
  /** The server's version, `18.4`. */
  version: string;
  location: PostgresLocation;
  /** Settles when the server ends, however it ends: code, or null after a signal. */
  exited: Promise<number | null>;
  /** Fast shutdown: open transactions are rolled back, everything committed is kept. Safe to call twice. */
  stop(): Promise<void>;
}

const readyTimeoutMs = 60_000;
const stopGraceMs = 20_000;

const durableSettings = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' };
/** What is committed survives the death of the server, not that of the machine. */
const hastySettings = { fsync: 'off', synchronous_commit: 'on', full_page_writes: 'off' };

/**
 * Starts the embedded Postgres of a state folder, creating its cluster the first time, and returns when it answers a
 * query. A server that a killed process left behind on the same cluster is ended first; a foreign process never is.
 * Throws where the port is taken (naming the variable to set) or the server ends early (with the end of its log).
 */
export async function startEmbeddedPostgres(
  options: StartEmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const location = await locatePostgres(options);
  const { clusterDir } = location;
  await endOrphan(clusterDir, options);
  const port = await options.processes.claimPort({
    ip: '127.0.0.1',
    wanted: options.port,
    variable: 'ANNEAL_POSTGRES_PORT',
  });
  await createCluster({ ...options, location, durable: options.durable ?? true });
  const logFile = options.logFile ?? join(options.stateDir, 'postgres.log');
  const log = await open(logFile, 'a', 0o600);
  const logStart = (await log.stat()).size;
  // Its own process group: Ctrl-C in the terminal must reach the workers first and the database last.
  const child = spawn(
    join(location.nativeDir, 'bin', 'postgres'),
    serverArguments(options, port, clusterDir),
    {
      ...runAs(location, options.env),
      stdio: ['ignore', log.fd, log.fd],
      detached: true,
    },
  );
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const failed = once(child, 'error').then(([error]) => Promise.reject(error as Error));
  failed.catch(() => undefined);
  await log.close();
  const pid = child.pid;
  if (pid === undefined) return failed;
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const stop = async () => {
    if (!isRunning()) return;
    child.kill('SIGINT');
    const timer = setTimeout(() => child.kill('SIGQUIT'), stopGraceMs);
    await exited;
    clearTimeout(timer);
  };
  const adminUrl = `postgresql://postgres:${encodeURIComponent(options.superuserPassword)}@127.0.0.1:${port}/postgres`;
  try {
    const endedEarly = exited.then(async (code): Promise<never> => {
      const end = await tail(logFile, logStart);
      throw new Error(`Postgres ended with code ${code} before it was ready: ${end}`);
    });
    const version = await Promise.race([
      ready({ adminUrl, clusterDir, pid, isRunning, timeoutMs: options.readyTimeoutMs }).then(
        (answer) => answer ?? endedEarly,
      ),
      endedEarly,
      failed,
    ]);
    return { adminUrl, port, pid, version, location, exited, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function serverArguments(
  options: StartEmbeddedPostgresOptions,
  port: number,
  clusterDir: string,
): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port,
    password_encryption: 'scram-sha-256',
    timezone: 'UTC',
    log_timezone: 'UTC',
    max_connections: 200,
    ...(options.durable === false ? hastySettings : durableSettings),
    ...options.settings,
  };
  const pairs = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', clusterDir, ...pairs];
}

interface Waiting {
  adminUrl: string;
  clusterDir: string;
  pid: number;
  isRunning: () => boolean;
  timeoutMs: number | undefined;
}

/** The server's version; undefined where it ends before it is ready. */
async function ready(waiting: Waiting): Promise<string | undefined> {
  const { adminUrl, clusterDir, pid } = waiting;
  const timeoutMs = waiting.timeoutMs ?? readyTimeoutMs;
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    if (!waiting.isRunning()) return undefined;
    // The server keeps its state in the eighth line of this file (pg_ctl waits on it too).
    const lines = (
      await readFile(join(clusterDir, 'postmaster.pid'), 'utf8').catch(() => '')
    ).split('\n');
    if (Number(lines[0]) === pid && lines[7]?.trim() === 'ready') return serverVersion(adminUrl);
    await delay(10);
  }
  throw new Error(`Postgres is not ready after ${timeoutMs / 1_000} s.`);
}

async function serverVersion(adminUrl: string): Promise<string> {
  const client = new Client({ connectionString: adminUrl, connectionTimeoutMillis: 10_000 });
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version: string }>('show server_version');
    return rows[0]?.server_version ?? '';
  } catch (error) {
    if ((error as { code?: unknown }).code !== '28P01') throw error;
    throw new Error(
      'The embedded Postgres refuses the recorded superuser password: it was created with another one. Restore the ' +
        'keys of the state folder, or remove the whole state folder to begin again.',
      { cause: error },
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function tail(logFile: string, from: number): Promise<string> {
  const text = (await readFile(logFile)).subarray(from).toString('utf8').trim();
  return text === '' ? `nothing was written to ${logFile}` : text.split('\n').slice(-3).join(' | ');
}
