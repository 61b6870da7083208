import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { childEnv } from '../../src/config.js';
import { readLocalKeys } from '../../src/main/bootstrap-installation.js';
import { createTourClient, type TourClient } from '../../src/main/tour-client.js';
import { gatherPeople, type People } from '../../src/main/tour-people.js';
import { eventually } from './eventually.js';

const root = new URL('../..', import.meta.url).pathname;
/** A first start may have to create a cluster and to build a bundle beside other work. */
const READY_MS = 240_000;
const STOP_MS = 90_000;

/** A process that `npm start` runs. */
export type StackProcess = 'launcher' | 'postgres' | 'temporal' | 'worker' | 'api';

/** The variables of one installation: its folder and its ports. */
export type StackEnv = Record<string, string>;

/** The processes of `npm start`, from outside. */
export interface Stack {
  env: StackEnv;
  stateDir: string;
  baseUrl: string;
  /** Everything the launcher has printed so far. */
  output: () => string;
  /** One client per role, with keys of their own; made on the first call. */
  people: () => Promise<People>;
  admin: () => Promise<TourClient>;
  /** API key of a role. */
  keyOf: (name: string) => Promise<string>;
  /** A client of the Temporal server that knows nothing of the platform. */
  temporal: () => Promise<Client>;
  /** SQL as superuser, past every policy; a connection of its own per call, so that it survives every kill. */
  sql: (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;
  pidOf: (name: StackProcess) => Promise<number>;
  /** SIGKILL to one process. Answers its process id. */
  kill9: (name: StackProcess) => Promise<number>;
  /** Waits until another process of this name runs and the API is ready. Answers the milliseconds it took. */
  back: (name: StackProcess, formerPid: number) => Promise<number>;
  /** SIGKILL to the launcher and everything it has started. */
  kill9All: () => Promise<void>;
  /** SIGINT to the launcher, as Ctrl-C sends it. Answers its exit code. */
  interrupt: () => Promise<number | null>;
  /** Stops whatever still runs; removes the folder unless it is kept. */
  close: (options?: { keep?: boolean }) => Promise<void>;
}

/** Below the ports that the system gives to whoever asks for any: until one is used, nobody else gets it by chance. */
const chosenPorts = { from: 10_240, to: 32_000 };

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  await new Promise((resolve) => server.close(resolve));
  return true;
};

/** Ports that were free a moment ago, each once. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(chosenPorts.from, chosenPorts.to);
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}

/** A fresh folder and free ports for every variable that names one. */
export async function freshStackEnv(): Promise<StackEnv> {
  const stateDir = await mkdtemp(join(tmpdir(), 'anneal-stack-'));
  // Started by root, Postgres runs as another account and has to search this folder.
  await chmod(stateDir, 0o755);
  const variables = [
    'ANNEAL_API_PORT',
    'ANNEAL_INTERNAL_PORT',
    'ANNEAL_WORKER_METRICS_PORT',
    'ANNEAL_TEMPORAL_METRICS_PORT',
    'ANNEAL_POSTGRES_PORT',
    'ANNEAL_TEMPORAL_PORT',
    'ANNEAL_TEMPORAL_UI_PORT',
  ];
  const ports = await freePorts(variables.length);
  return {
    ANNEAL_STATE_DIR: stateDir,
    ...Object.fromEntries(variables.map((name, at) => [name, String(ports[at])])),
  };
}

/** A launcher as started: its process, what it prints, its end. */
export interface Launch {
  child: ChildProcess;
  output: () => string;
  /** Exit code; null after a signal. */
  ended: Promise<number | null>;
}

/** Starts what `npm start` starts, without the tour, and does not wait. */
export function launch(env: StackEnv): Launch {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', join(root, 'src/main/dev.ts'), '--no-tour'],
    {
      cwd: root,
      env: { ...childEnv(env), NODE_OPTIONS: '', ANNEAL_WORKFLOW_BUNDLE: '' },
      // The channel tells the launcher that the tests are gone, however they ended.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    },
  );
  let output = '';
  const note = (chunk: Buffer) => {
    output += chunk.toString('utf8');
  };
  child.stdout?.on('data', note);
  child.stderr?.on('data', note);
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { child, output: () => output, ended };
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const send = (pid: number, signal: NodeJS.Signals): void => {
  if (isAlive(pid)) process.kill(pid, signal);
};

/** The process list that the launcher keeps. */
async function readPids(stateDir: string): Promise<Partial<Record<StackProcess, number>>> {
  const text = await readFile(join(stateDir, 'processes.json'), 'utf8');
  return JSON.parse(text) as Partial<Record<StackProcess, number>>;
}

/** Runs SQL as superuser of the installation. */
async function runSql(
  env: StackEnv,
  text: string,
  values: unknown[],
): Promise<Record<string, unknown>[]> {
  const passwords = JSON.parse(
    await readFile(join(env['ANNEAL_STATE_DIR'] ?? '', 'keys', 'postgres.json'), 'utf8'),
  ) as { superuser: string };
  const client = new pg.Client({
    host: '127.0.0.1',
    port: Number(env['ANNEAL_POSTGRES_PORT']),
    user: 'postgres',
    password: passwords.superuser,
    database: 'anneal',
    connectionTimeoutMillis: 10_000,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text, values)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Resolves once the launcher says that everything is up. @throws with what it printed where it ends before */
async function untilReady({ output, ended }: Launch): Promise<void> {
  let code: number | null | undefined;
  void ended.then((given) => {
    code = given;
  });
  await eventually(
    () => {
      if (output().includes('Ctrl-C stops it') || code !== undefined) return;
      throw new Error(`not ready yet:\n${output()}`);
    },
    { timeoutMs: READY_MS },
  );
  if (code !== undefined) throw new Error(`the launcher ended with ${code}:\n${output()}`);
}

const withIn = async <T>(work: Promise<T>, what: string): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${STOP_MS} ms`)), STOP_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
};

/** SIGKILL to the launcher, then to all that it has started. */
async function killEverything(stateDir: string, { child, ended }: Launch): Promise<void> {
  const pids = Object.values(await readPids(stateDir).catch(() => ({})));
  // The launcher first, or it would start the others again.
  for (const pid of new Set([child.pid, ...pids])) if (pid !== undefined) send(pid, 'SIGKILL');
  await ended;
  await eventually(() => {
    if (pids.some(isAlive)) throw new Error('still there');
  });
}

/** Waits for another process of a name and for the readiness of the API. */
function createBack(env: StackEnv, pidOf: Stack['pidOf']): Stack['back'] {
  return async (name, formerPid) => {
    const since = performance.now();
    await eventually(
      async () => {
        const pid = await pidOf(name);
        if (pid === formerPid || !isAlive(pid)) throw new Error(`${name} is not back`);
        for (const port of ['ANNEAL_INTERNAL_PORT', 'ANNEAL_WORKER_METRICS_PORT']) {
          const { ok } = await fetch(`http://127.0.0.1:${env[port]}/readyz`);
          if (!ok) throw new Error(`${port} is not ready`);
        }
      },
      { timeoutMs: 120_000, everyMs: 100 },
    );
    return performance.now() - since;
  };
}

/**
 * Starts the processes of `npm start` on a fresh folder and free ports, or on those of an earlier stack, and returns
 * when they are ready.
 */
export async function startStack(given?: StackEnv): Promise<Stack> {
  const env = given ?? (await freshStackEnv());
  const stateDir = env['ANNEAL_STATE_DIR'] ?? '';
  const baseUrl = `http://127.0.0.1:${env['ANNEAL_API_PORT']}`;
  const launched = launch(env);
  const { child, output, ended } = launched;
  const connections: Connection[] = [];
  let people: Promise<People> | undefined;

  const pidOf: Stack['pidOf'] = async (name) => {
    const pid = (await readPids(stateDir))[name];
    if (pid === undefined) throw new Error(`${name} has no process`);
    return pid;
  };
  const kill9: Stack['kill9'] = async (name) => {
    const pid = await pidOf(name);
    process.kill(pid, 'SIGKILL');
    return pid;
  };
  const interrupt = async () => {
    child.kill('SIGINT');
    return withIn(ended, 'the orderly stop');
  };
  const keyOf = async (name: string) => {
    const key = (await readLocalKeys(stateDir))[name];
    if (key === undefined) throw new Error(`no key of ${name}`);
    return key;
  };
  const stack: Stack = {
    env,
    stateDir,
    baseUrl,
    output,
    people: () => (people ??= gatherPeople(baseUrl, stateDir)),
    admin: async () => createTourClient(baseUrl, await keyOf('admin')),
    keyOf,
    temporal: async () => {
      const address = `127.0.0.1:${env['ANNEAL_TEMPORAL_PORT']}`;
      const connection = await Connection.connect({ address });
      connections.push(connection);
      return new Client({ connection });
    },
    sql: (text, values = []) => runSql(env, text, values),
    pidOf,
    kill9,
    back: createBack(env, pidOf),
    kill9All: () => killEverything(stateDir, launched),
    interrupt,
    close: async ({ keep = false } = {}) => {
      for (const connection of connections.splice(0)) await connection.close();
      if (child.exitCode === null && child.signalCode === null) {
        await interrupt().catch(stack.kill9All);
      }
      if (!keep) await rm(stateDir, { recursive: true, force: true });
    },
  };
  try {
    await untilReady(launched);
  } catch (error) {
    await stack.close({ keep: given !== undefined });
    throw error;
  }
  return stack;
}
