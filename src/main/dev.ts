import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { childEnv, loadConfig, requireHosts, type Config } from '../config.js';
import { obtainWorkflowBundles } from './bundle-cache.js';
import { bootstrapInstallation } from './bootstrap-installation.js';
import { supervise } from './child-processes.js';
import { endLeftBehindProcesses, writeProcesses } from './dev-processes.js';
import { assertPortsFree, lockState, startDevPostgres, startDevTemporal } from './dev-services.js';
import { keepServer, type Keep } from './keep-server.js';
import { projectFolder } from './project-folder.js';
import { keepShippingWal } from './ship-wal.js';
import { runTour, tourWasRun } from './tour.js';

// `npm start`: the whole platform on this machine, its state in one folder.

const HELP = `npm start -- [options]

  --no-tour           do not run the tour on the first start
  --exit-after-tour   stop everything after the tour; exit code 1 if a step failed
  --help              this text

Ports, folders and everything else: docs/configuration.md.`;

const startedAt = performance.now();
const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;
const say = (line: string) => console.log(line);

let isStopping = false;

/** Runs one step and prints what it took. */
async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
  if (isStopping) throw new Error('stopped');
  const since = performance.now();
  try {
    const result = await work();
    say(`  ✓ ${name.padEnd(44)} ${seconds(since)}`);
    return result;
  } catch (error) {
    say(`  ✗ ${name.padEnd(44)} ${seconds(since)}`);
    throw error;
  }
}

/** Everything that was started, in the order of its start. */
const running: {
  name: string;
  pid: () => number | undefined;
  stop: () => Promise<void>;
}[] = [];

/** Stops everything in reverse order of its start. */
async function stopAll(): Promise<void> {
  isStopping = true;
  for (const { name, stop } of running.reverse()) {
    await stop().catch((error: unknown) => say(`${name} did not stop: ${String(error)}`));
  }
}

const noteProcesses = ({ stateDir }: Config): void =>
  writeProcesses(stateDir, {
    launcher: process.pid,
    ...Object.fromEntries(running.map(({ name, pid }) => [name.toLowerCase(), pid()])),
  });

/** Servers of ours are kept alive and stopped at the end. */
const keeper =
  (config: Config): Keep =>
  async (name, start) => {
    const kept = keepServer({ name, start, say, onStart: () => noteProcesses(config) });
    running.push({ name, pid: kept.pid, stop: kept.stop });
    const server = await kept.ready;
    noteProcesses(config);
    return server;
  };

/** Databases, engine and bundle side by side; then migrations have run and search attributes are usable. */
async function startServices(config: Config) {
  const keep = keeper(config);
  const [postgres, temporal, bundle] = await Promise.all([
    step('Postgres, roles, migrations', () => startDevPostgres(config, say, keep)),
    step('Temporal server, search attributes', () => startDevTemporal(config, say, keep)),
    step('workflow bundles', () => obtainWorkflowBundles(config.stateDir, config.cacheDir)),
  ]);
  const { stateDir, backupDir } = config;
  if (backupDir !== undefined) {
    const { clusterDir } = postgres.server.location;
    const shipping = keepShippingWal({ clusterDir, stateDir, backupDir, say });
    // Before the database in the list, so that it is stopped after it: the last segment comes with its end.
    running.unshift({ name: 'WAL archive', pid: () => undefined, stop: shipping.stop });
  }
  return { postgres, temporal, bundle };
}

async function startProcesses(config: Config, services: Awaited<ReturnType<typeof startServices>>) {
  const { postgres, temporal, bundle } = services;
  const env = childEnv({
    ANNEAL_STATE_DIR: config.stateDir,
    ANNEAL_API_DATABASE_URL: postgres.urls.api,
    ANNEAL_WORKER_DATABASE_URL: postgres.urls.worker,
    ANNEAL_RELAY_DATABASE_URL: postgres.urls.relay,
    // One's own folders are near at hand; the tour keeps its documents in the state folder.
    ANNEAL_SOURCE_FOLDERS:
      config.etl.sourceFolders.join(',') || `${projectFolder('.')},${config.stateDir}`,
    ANNEAL_WORKFLOW_BUNDLE: bundle,
    TEMPORAL_ADDRESS: temporal.address,
  });
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const folder = extension === 'ts' ? 'src' : 'dist';
  const start = async (name: 'api' | 'worker') => {
    const supervised = supervise({
      name,
      entry: projectFolder(`${folder}/main/${name}.${extension}`),
      args: [config.stateDir],
      env,
      logFile: join(config.stateDir, 'logs', `${name}.log`),
      say,
      onStart: () => noteProcesses(config),
    });
    running.push({ name, pid: supervised.pid, stop: supervised.stop });
    noteProcesses(config);
    await supervised.ready;
  };
  await Promise.all([start('worker'), start('api')]);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      'no-tour': { type: 'boolean', default: false },
      'exit-after-tour': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    say(HELP);
    return 0;
  }
  const config = loadConfig();
  requireHosts(config);
  await lockState(config.stateDir);
  await endLeftBehindProcesses(config.stateDir, say);
  await assertPortsFree(config);
  say(`Anneal starts; state in ${config.stateDir}`);
  const services = await startServices(config);
  const installation = await step('tenant `default` and first keys', () =>
    bootstrapInstallation(config, services.postgres.urls),
  );
  await step('API and workers', () => startProcesses(config, services));
  say(`  ready after ${seconds(startedAt)}`);
  const wantsTour =
    values['exit-after-tour'] || (!values['no-tour'] && !(await tourWasRun(config)));
  const tourOk = !wantsTour || (await runTour(config, say));
  say('');
  say('Anneal is ready');
  say(`  API           http://127.0.0.1:${config.api.port}/v1`);
  say(`  API docs      http://127.0.0.1:${config.api.port}/docs`);
  say(`  Temporal UI   ${config.temporal.uiUrl}`);
  if (installation.adminKey !== undefined) {
    say(`  first admin key (shown once): ${installation.adminKey}`);
  }
  if (values['exit-after-tour']) return tourOk ? 0 : 1;
  say('Ctrl-C stops it; the state stays.');
  return new Promise<never>(() => undefined);
}

/** Ctrl-C at any time stops in order; a second one ends at once, and the next start clears up behind it. */
const asked = new Promise<number>((resolve) => {
  const onSignal = () => {
    // eslint-disable-next-line no-restricted-properties -- asked twice: nothing more is waited for
    if (isStopping) process.exit(130);
    isStopping = true;
    say('stopping …');
    resolve(0);
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  // Whoever started us with a channel and is gone will send no signal.
  process.on('disconnect', onSignal);
});

let code = 1;
try {
  code = await Promise.race([main(), asked]);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
}
await stopAll();
// eslint-disable-next-line no-restricted-properties -- the end of the stop sequence: idle sockets must not hold it open
process.exit(code);
