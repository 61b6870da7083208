import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { devServerArguments } from './dev-server-arguments.js';
import type { DevServerSettings } from './dev-server-arguments.js';
import { isRunning, pidFileOf, stopDevServer, stopOrphan } from './stop-dev-server.js';
import type { ServerProcesses } from './stop-dev-server.js';

export interface StartDevServerOptions extends Omit<DevServerSettings, 'port' | 'uiPort'> {
  /** The binary that `findTemporal` found. */
  binary: string;
  /** 0 or left out takes a free port. */
  port?: number | undefined;
  uiPort?: number | undefined;
  /** Both outputs of the server are appended here. */
  logFile: string;
  /** The environment of the server process. */
  env: Readonly<Record<string, string | undefined>>;
  log: (line: string) => void;
  /** Claims ports and ends processes of this machine. */
  processes: ServerProcesses;
  /** How long the server may take to answer; 60 s by default. */
  readyTimeoutMs?: number | undefined;
}

/** A running Temporal dev server that we started. */
export interface DevServer {
  /** `host:port` of the gRPC frontend. */
  address: string;
  /** Undefined when headless. */
  uiUrl: string | undefined;
  pid: number;
  /** Settles when the process ends, however it ends: code, or null after a signal. */
  exited: Promise<number | null>;
  /** Ends the server: SIGTERM, after 10 s SIGKILL. Safe to call twice. */
  stop(): Promise<void>;
}

/** Starts before one gives up: the server picks ports for its parts and binds them a moment later. */
const MAX_STARTS = 3;

const isPortTaken = (error: unknown): boolean =>
  error instanceof Error && error.message.includes('address already in use');

/**
 * Starts `server start-dev` with the settings that Anneal needs and waits until the namespace answers. A server that an
 * earlier, killed process left behind on the same database file is ended first. One whose parts lose their ports to
 * somebody else while it starts is started again. Throws where a port of ours is taken (naming the variable to set) or the
 * server ends early (with the end of its log).
 */
export async function startTemporalDevServer(options: StartDevServerOptions): Promise<DevServer> {
  for (let starts = 1; ; starts++)
    try {
      return await startOnce(options);
    } catch (error) {
      if (starts === MAX_STARTS || !isPortTaken(error)) throw error;
      options.log('a port of the Temporal server was taken while it started; starting it again');
    }
}

async function startOnce(options: StartDevServerOptions): Promise<DevServer> {
  const { ip = '127.0.0.1', dbFilename, logFile } = options;
  const pidFile = dbFilename === undefined ? undefined : pidFileOf(dbFilename);
  if (dbFilename !== undefined) {
    await mkdir(dirname(dbFilename), { recursive: true });
    await stopOrphan(dbFilename, options);
  }
  const { port, uiPort } = await claimPorts(options, ip);
  await mkdir(dirname(logFile), { recursive: true });
  const log = await open(logFile, 'a');
  const logStart = (await log.stat()).size;
  // Its own process group: Ctrl-C in the terminal must reach the workers first and the server last.
  const child = spawn(options.binary, devServerArguments({ ...options, ip, port, uiPort }), {
    env: { ...options.env },
    stdio: ['ignore', log.fd, log.fd],
    detached: true,
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const failed = once(child, 'error').then(([error]) => Promise.reject(error as Error));
  failed.catch(() => undefined);
  await log.close();
  const pid = child.pid;
  if (pid === undefined) return failed;
  if (pidFile !== undefined) await writeFile(pidFile, String(pid));
  const stop = async () => {
    await stopDevServer(child, exited);
    if (pidFile !== undefined) await rm(pidFile, { force: true });
  };
  const address = `${ip}:${port}`;
  try {
    const endedEarly = exited.then(async (code): Promise<never> => {
      const end = await tail(logFile, logStart);
      throw new Error(`The Temporal server ended with code ${code} before it was ready: ${end}`);
    });
    const namespace = options.namespace ?? 'default';
    const waiting = { ip, port, uiPort, namespace, isRunning: () => isRunning(child) };
    await Promise.race([
      ready(waiting, options).then((isReady) => isReady || endedEarly),
      endedEarly,
      failed,
    ]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { address, uiUrl: uiPort === 0 ? undefined : `http://${ip}:${uiPort}`, pid, exited, stop };
}

async function claimPorts(options: StartDevServerOptions, ip: string) {
  const claim = (wanted: number | undefined, variable: string) =>
    options.processes.claimPort({ ip, wanted, variable });
  const port = await claim(options.port, 'ANNEAL_TEMPORAL_PORT');
  const uiPort =
    options.headless === true ? 0 : await claim(options.uiPort, 'ANNEAL_TEMPORAL_UI_PORT');
  return { port, uiPort };
}

interface Endpoint {
  ip: string;
  port: number;
  /** 0 when headless. */
  uiPort: number;
  namespace: string;
  isRunning: () => boolean;
}

/** False where the server ends before it is ready. */
async function ready(endpoint: Endpoint, options: StartDevServerOptions): Promise<boolean> {
  const timeoutMs = options.readyTimeoutMs ?? 60_000;
  const deadline = performance.now() + timeoutMs;
  let saidAt = performance.now();
  let last: unknown = 'its port is closed';
  while (performance.now() < deadline) {
    if (!endpoint.isRunning()) return false;
    const answer = await answers(endpoint).catch((error: unknown) => error ?? 'no answer');
    if (answer === true) return true;
    last = answer;
    if (performance.now() - saidAt > 2_000) {
      saidAt = performance.now();
      options.log('waiting for the Temporal server');
    }
    await delay(25);
  }
  const reason = last instanceof Error ? last.message : JSON.stringify(last);
  throw new Error(
    `The Temporal server at ${endpoint.ip}:${endpoint.port} is not ready after ${timeoutMs / 1_000} s ` +
      `(${reason}); its log is ${options.logFile}.`,
  );
}

async function answers({ ip, port, uiPort, namespace }: Endpoint): Promise<boolean> {
  if (!(await isOpen(ip, port)) || (uiPort !== 0 && !(await isOpen(ip, uiPort)))) return false;
  const connection = await Connection.connect({ address: `${ip}:${port}`, connectTimeout: 2_000 });
  try {
    await connection.workflowService.describeNamespace({ namespace });
    // Answered by visibility and, behind it, the matching and history services: all of them are up.
    await connection.workflowService.countWorkflowExecutions({ namespace, query: '' });
    return true;
  } finally {
    await connection.close();
  }
}

function isOpen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => done(true)).once('error', () => done(false));
    socket.setTimeout(1_000, () => done(false));
  });
}

async function tail(logFile: string, from: number): Promise<string> {
  const text = (await readFile(logFile)).subarray(from).toString('utf8').trim();
  return text === '' ? `nothing was written to ${logFile}` : text.split('\n').slice(-3).join(' | ');
}
