import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { childEnv, loadConfig, type Config } from '../config.js';
import { bootstrapInstallation } from './bootstrap-installation.js';
import { supervise } from './child-processes.js';
import { assertPortsFree, lockState, startDevPostgres, startDevTemporal } from './dev-services.js';
import { projectFolder } from './project-folder.js';
import { runTour, tourWasRun } from './tour.js';
import { buildWorkflowBundle } from './workflow-bundle.js';
import { writeFile } from 'node:fs/promises';

// `npm start`: the whole platform on this machine, its state in one folder.

const HELP = `npm start -- [options]

  --no-tour           do not run the tour on the first start
  --exit-after-tour   stop everything after the tour; exit code 1 if a step failed
  --help              this text

Ports, folders and everything else: docs/configuration.md.`;

const startedAt = performance.now();
const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;
const say = (line: string) => console.log(line);

/** Runs one step and prints what it took. */
async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
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

const stops: { name: string; stop: () => Promise<void> }[] = [];

/** Stops everything in reverse order of its start. */
async function stopAll(): Promise<void> {
  for (const { name, stop } of stops.reverse()) {
    await stop().catch((error: unknown) => say(`${name} did not stop: ${String(error)}`));
  }
}

/** Databases, engine and bundle side by side; then migrations have run and search attributes are usable. */
async function startServices(config: Config) {
  const [postgres, temporal] = await Promise.all([
    step('Postgres, roles, migrations', async () => {
      const postgres = await startDevPostgres(config, say);
      stops.push({ name: 'Postgres', stop: () => postgres.server.stop() });
      return postgres;
    }),
    step('Temporal server, search attributes', async () => {
      const temporal = await startDevTemporal(config, say);
      const { server } = temporal;
      if (server !== undefined) stops.push({ name: 'Temporal', stop: () => server.stop() });
      return temporal;
    }),
    step('workflow bundle', async () => {
      const { code } = await buildWorkflowBundle();
      await writeFile(join(config.stateDir, 'workflow-bundle.js'), code);
    }),
  ]);
  return { postgres, temporal };
}

async function startProcesses(config: Config, services: Awaited<ReturnType<typeof startServices>>) {
  const { postgres, temporal } = services;
  const env = childEnv({
    ANNEAL_STATE_DIR: config.stateDir,
    ANNEAL_API_DATABASE_URL: postgres.urls.api,
    ANNEAL_WORKER_DATABASE_URL: postgres.urls.worker,
    ANNEAL_RELAY_DATABASE_URL: postgres.urls.relay,
    ANNEAL_WORKFLOW_BUNDLE: join(config.stateDir, 'workflow-bundle.js'),
    TEMPORAL_ADDRESS: temporal.address,
  });
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const folder = extension === 'ts' ? 'src' : 'dist';
  const start = (name: string) =>
    supervise({
      name,
      entry: projectFolder(`${folder}/main/${name}.${extension}`),
      env,
      logFile: join(config.stateDir, 'logs', `${name}.log`),
      say,
    });
  const processes = [start('worker'), start('api')];
  for (const [i, process] of processes.entries())
    stops.push({ name: `process ${i}`, stop: process.stop });
  await Promise.all(processes.map((process) => process.ready));
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
  await lockState(config.stateDir);
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
  await new Promise<void>((resolve) => process.on('SIGINT', resolve).on('SIGTERM', resolve));
  say('stopping …');
  return 0;
}

let code = 1;
try {
  code = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
}
await stopAll();
// eslint-disable-next-line no-restricted-properties -- the end of the stop sequence: idle sockets must not hold it open
process.exit(code);
