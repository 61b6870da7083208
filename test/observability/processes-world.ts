import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { childEnv } from '../../src/config.js';
import type { Role } from '../../src/domain/access/permissions.js';
import { createPeople, send, type ApiAnswer, type TestCaller } from '../support/api.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { freePorts } from '../support/stack.js';
import { connectTestTemporal, type TestTemporal } from '../support/temporal.js';
import { startSpanCollector } from './span-collector.js';

/** A line of a process's log. */
type LogLine = Record<string, unknown> & { process: string; msg: string };

/** API and worker as their own processes, as production runs them, on a database and namespace of this file alone. */
export interface ProcessesWorld {
  database: TestDatabase;
  temporal: TestTemporal;
  collector: Awaited<ReturnType<typeof startSpanCollector>>;
  caller: TestCaller;
  /** Somebody else of that tenant. */
  createCaller: (roles: Role[]) => Promise<TestCaller>;
  call: (operation: string, body?: unknown, headers?: { key?: string }) => Promise<ApiAnswer>;
  upload: (path: string, options: object, file: string) => Promise<ApiAnswer>;
  /** Every line that both have logged so far. */
  log: () => LogLine[];
  /** What a process shows to Prometheus now. */
  scrape: (of: 'api' | 'worker' | 'temporal core') => Promise<string>;
  stop: () => Promise<void>;
}

const root = new URL('../..', import.meta.url).pathname;
const TENANT = 'observed';
/** Beside other work a worker takes its time to bundle workflows. */
const START_MS = 240_000;

function start(name: 'api' | 'worker', env: Record<string, string>) {
  const child = fork(join(root, 'src/main', `${name}.ts`), [], {
    cwd: root,
    env: childEnv(env),
    execArgv: ['--import', 'tsx', '--import', './otel.mjs', '--no-warnings'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  const note = (chunk: Buffer) => {
    output += chunk.toString('utf8');
  };
  child.stdout?.on('data', note);
  child.stderr?.on('data', note);
  let isReady = false;
  child.on('message', () => {
    isReady = true;
  });
  const ready = () =>
    eventually(
      () => {
        if (!isReady) throw new Error(`${name} is not ready:\n${output}`);
      },
      { timeoutMs: START_MS },
    );
  return { child, output: () => output, ready };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

const linesOf = (output: string): LogLine[] =>
  output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine);

/** What stands there before a process starts. */
export interface Ground {
  database: TestDatabase;
  temporal: TestTemporal;
  tenant: string;
  /** Where the keys of the installation and its tenants are. */
  keyFolder: string;
  /** Where its backups are: the worker looks at them. */
  backupFolder: string;
}

/**
 * Starts both processes and makes a tenant with one person who may do everything the tests ask for. No worker takes tasks
 * of the queue `training`. `plant` makes facts that the processes find when they begin.
 */
export async function startProcessesWorld(
  plant: (ground: Ground) => Promise<void>,
): Promise<ProcessesWorld> {
  const database = await createTestDatabase();
  const temporal = await connectTestTemporal();
  const collector = await startSpanCollector();
  const stateDir = await mkdtemp(join(tmpdir(), 'anneal-processes-'));
  const [api = 0, internal = 0, metrics = 0, core = 0] = await freePorts(4);
  const [keyFolder, backupFolder] = [join(stateDir, 'keys'), join(stateDir, 'backups')];
  const env = {
    ...{ ANNEAL_STATE_DIR: stateDir, ANNEAL_BACKUP_DIR: backupFolder },
    ANNEAL_API_PORT: String(api),
    ANNEAL_INTERNAL_PORT: String(internal),
    ANNEAL_WORKER_METRICS_PORT: String(metrics),
    ANNEAL_TEMPORAL_METRICS_PORT: String(core),
    ANNEAL_API_DATABASE_URL: database.urls.api,
    ANNEAL_WORKER_DATABASE_URL: database.urls.worker,
    ANNEAL_RELAY_DATABASE_URL: database.urls.relay,
    ANNEAL_WORKER_ROLES: 'orchestration,inference,etl',
    ANNEAL_LOG_LEVEL: 'info',
    ANNEAL_OTEL: 'on',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: '200',
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
  };
  const people = createPeople(database, keyFolder);
  await people.createTenant(TENANT);
  const caller = await people.createCaller(TENANT, ['data-steward', 'ml-engineer']);
  await plant({ database, temporal, tenant: TENANT, keyFolder, backupFolder });
  const processes = [start('api', env), start('worker', env)] as const;
  const url = `http://127.0.0.1:${api}`;
  const ports = { api: internal, worker: metrics, 'temporal core': core };
  const stop = async () => {
    await Promise.all(processes.map(({ child }) => end(child)));
    await collector.close();
    await temporal.stop();
    await database.close();
    await rm(stateDir, { recursive: true, force: true });
  };
  try {
    await Promise.all(processes.map(({ ready }) => ready()));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    database,
    temporal,
    collector,
    caller,
    createCaller: (roles) => people.createCaller(TENANT, roles),
    call: (operation, body, { key = caller.key } = {}) => send({ url, key, operation, body }),
    upload: async (path, options, file) => {
      const form = new FormData();
      form.append('options', JSON.stringify(options));
      form.append('file', new Blob([file]), 'rows.csv');
      const response = await fetch(`${url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${caller.key}`, 'idempotency-key': crypto.randomUUID() },
        body: form,
      });
      const body = (await response.json()) as Record<string, unknown>;
      return { status: response.status, headers: response.headers, body };
    },
    log: () => processes.flatMap(({ output }) => linesOf(output())),
    scrape: async (of) => (await fetch(`http://127.0.0.1:${ports[of]}/metrics`)).text(),
    stop,
  };
}
