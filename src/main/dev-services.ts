import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../adapters/postgres/embedded.js';
import { migrate, type MigrationReport } from '../adapters/postgres/migrate.js';
import { provision, type RolePasswords, type RoleUrls } from '../adapters/postgres/provision.js';
import { wakeCheckpointer } from '../adapters/postgres/wake-checkpointer.js';
import { serverProcesses } from '../adapters/processes/server-processes.js';
import { connectTemporal } from '../adapters/temporal/connect.js';
import { startTemporalDevServer, type DevServer } from '../adapters/temporal/dev-server.js';
import { findTemporal, type FoundTemporal } from '../adapters/temporal/find-temporal.js';
import { registerSearchAttributes } from '../adapters/temporal/register-search-attributes.js';
import { setNamespaceRetention } from '../adapters/temporal/set-namespace-retention.js';
import { childEnv, type Config } from '../config.js';
import type { Keep } from './keep-server.js';
import { projectFolder } from './project-folder.js';

type Say = (line: string) => void;

/** Nobody brings the server back; whoever started it stops it. */
const unkept: Keep = (_name, start) => start();

interface DevPasswords extends RolePasswords {
  superuser: string;
}

const newPassword = (): string => randomBytes(24).toString('base64url');

/** The bundled database's passwords: made once, kept 0600 beside the keys. */
async function devPasswords(stateDir: string): Promise<DevPasswords> {
  const path = join(stateDir, 'keys', 'postgres.json');
  const known = await readFile(path, 'utf8').catch(() => undefined);
  if (known !== undefined) return JSON.parse(known) as DevPasswords;
  await mkdir(join(stateDir, 'keys'), { recursive: true, mode: 0o700 });
  const made: DevPasswords = {
    superuser: newPassword(),
    anneal_owner: newPassword(),
    anneal_api: newPassword(),
    anneal_worker: newPassword(),
    anneal_relay: newPassword(),
  };
  const file = await open(path, 'wx', 0o600);
  await file.writeFile(JSON.stringify(made, null, 2));
  await file.sync();
  await file.close();
  return made;
}

/** How the bundled Postgres is started beside what always holds. */
interface PostgresStart {
  keep: Keep;
  settings: Readonly<Record<string, string>>;
  readyTimeoutMs?: number;
}

/** Folder of the cluster that Postgres hands WAL over in; the server works in its data folder. */
export const WAL_STAGING = 'anneal_wal';

/** The bundled Postgres, migrated, and its URLs. */
export interface DevPostgres {
  server: EmbeddedPostgres;
  urls: RoleUrls;
  migrations: MigrationReport;
}

/** Every segment of WAL goes to a folder of the cluster, from where it is sealed into the backup folder. */
export const archiving = {
  archive_mode: 'on',
  archive_timeout: '45s',
  archive_command: `mkdir -p ${WAL_STAGING} && cp "%p" "${WAL_STAGING}/%f.part" && sync "${WAL_STAGING}/%f.part" && mv -f "${WAL_STAGING}/%f.part" "${WAL_STAGING}/%f"`,
};

/** The superuser's URL of the bundled Postgres of a running installation. */
export async function devAdminUrl(config: Config): Promise<string> {
  const { superuser } = await devPasswords(config.stateDir);
  return `postgresql://postgres:${superuser}@127.0.0.1:${config.postgres.port}/postgres`;
}

/** Starts the bundled Postgres on the state folder, provisions roles and database, and migrates. */
export const startDevPostgres = (
  config: Config,
  say: Say,
  keep: Keep = unkept,
): Promise<DevPostgres> =>
  startPostgresWith(config, say, {
    keep,
    settings: config.backupDir === undefined ? {} : archiving,
  });

/** {@link startDevPostgres} with settings of its own: a recovery. */
export async function startPostgresWith(
  config: Config,
  say: Say,
  { keep, settings, readyTimeoutMs }: PostgresStart,
): Promise<DevPostgres> {
  const { superuser, ...passwords } = await devPasswords(config.stateDir);
  let { port } = config.postgres;
  const server = await keep('Postgres', async () => {
    const started = await startEmbeddedPostgres({
      stateDir: config.stateDir,
      port,
      superuserPassword: superuser,
      processes: serverProcesses,
      env: childEnv(),
      log: say,
      settings,
      readyTimeoutMs,
    });
    // Where any free port was asked for, the next start has to take the same one.
    ({ port } = started);
    if (settings['archive_timeout'] !== undefined) await wakeCheckpointer(started.adminUrl);
    return started;
  });
  const urls = await provision(server.adminUrl, passwords, {
    database: 'anneal',
    rolesSql: projectFolder('prisma/roles.sql'),
  });
  const migrations = await migrate(urls.owner, projectFolder('prisma/migrations'));
  return { server, urls, migrations };
}

/** The Temporal server in use: ours, or somebody's cluster. */
export interface DevTemporal {
  found: FoundTemporal;
  address: string;
  server: DevServer | undefined;
}

/** The version of the server at an address, with the caller's TLS and key settings. */
async function serverVersionAt(config: Config, address: string): Promise<string> {
  const { namespace, connection } = config.temporal;
  const temporal = await connectTemporal({
    connection: connection(address),
    namespace,
    patienceMs: 0,
  });
  try {
    const { serverVersion } = await temporal.connection.workflowService.getSystemInfo({});
    return serverVersion;
  } finally {
    await temporal.close();
  }
}

/** The dev server on the state folder; where any free ports were asked for, a later start takes the same ones. */
function startTemporalBinary(
  config: Config,
  say: Say,
  { binary, keep }: { binary: string; keep: Keep },
): Promise<DevServer> {
  let { port, uiPort } = config.temporal;
  return keep('Temporal', async () => {
    const started = await startTemporalDevServer({
      binary,
      processes: serverProcesses,
      port,
      uiPort,
      namespace: config.temporal.namespace,
      dbFilename: join(config.stateDir, 'temporal.db'),
      logFile: join(config.stateDir, 'logs', 'temporal.log'),
      env: childEnv(),
      log: say,
    });
    port = Number(new URL(`tcp://${started.address}`).port);
    uiPort = Number(new URL(started.uiUrl ?? 'tcp://unused:0').port);
    return started;
  });
}

/** Finds or obtains a Temporal server; a build of one takes minutes, and says so. */
export const obtainTemporal = (config: Config, say: Say): Promise<FoundTemporal> =>
  findTemporal({
    address: config.temporal.address,
    probeAddress: (address) => serverVersionAt(config, address),
    cliSha256: config.temporal.cliSha256,
    env: childEnv(),
    cacheDir: config.cacheDir,
    devServerSource: projectFolder('tools/temporal-dev'),
    fetch,
    log: say,
  });

/** Finds or obtains a Temporal server, starts it where it is a binary, and readies its namespace. */
export async function startDevTemporal(
  config: Config,
  say: Say,
  keep: Keep = unkept,
): Promise<DevTemporal> {
  const found = await obtainTemporal(config, say);
  const server =
    found.kind === 'address'
      ? undefined
      : await startTemporalBinary(config, say, { binary: found.path, keep });
  const address = found.kind === 'address' ? found.address : (server?.address ?? '');
  const { namespace } = config.temporal;
  const { connection, close } = await connectTemporal({
    connection: config.temporal.connection(address),
    namespace,
    patienceMs: 20_000,
  });
  await registerSearchAttributes(connection, namespace);
  if (server !== undefined)
    await setNamespaceRetention(connection, namespace, config.temporal.retentionMs);
  await close();
  return { found, address, server };
}

const isOpen = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ host, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

/** Refuses to start where a port of ours is taken, naming the variable that moves it. */
export async function assertPortsFree(config: Config): Promise<void> {
  const wanted: [string, number][] = [
    ['ANNEAL_API_PORT', config.api.port],
    ['ANNEAL_INTERNAL_PORT', config.api.internalPort],
    ['ANNEAL_WORKER_METRICS_PORT', config.worker.metricsPort],
    ['ANNEAL_TEMPORAL_METRICS_PORT', config.worker.temporalMetricsPort],
  ];
  for (const [variable, port] of wanted) {
    if (port !== 0 && (await isOpen('127.0.0.1', port))) {
      throw new Error(
        `port ${port} is busy; set ${variable} to a free one, for example ${variable}=${port + 100} npm start`,
      );
    }
  }
}

/** Holds the state folder for one `npm start` at a time. A lock whose process is gone is taken over. */
export async function lockState(stateDir: string): Promise<void> {
  // Searchable by others: started by root, Postgres runs as another account. What is secret lies in keys/, mode 0700.
  await mkdir(stateDir, { recursive: true, mode: 0o755 });
  await mkdir(join(stateDir, 'logs'), { recursive: true, mode: 0o700 });
  const path = join(stateDir, 'start.pid');
  const holder = Number(await readFile(path, 'utf8').catch(() => '0'));
  if (holder > 0 && holder !== process.pid && (await isLauncher(holder))) {
    throw new Error(
      `another \`npm start\` (process ${holder}) uses ${stateDir}; stop it first, or set ANNEAL_STATE_DIR and the ports`,
    );
  }
  await writeFile(path, String(process.pid));
}

/** Lets go of a state folder that this process holds. */
export const unlockState = (stateDir: string): Promise<void> =>
  rm(join(stateDir, 'start.pid'), { force: true });

/** True where the process is alive and is a launcher: a recycled process id must not lock us out. */
async function isLauncher(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => 'src/main/dev');
  return command.includes('main/dev') || command.includes('main/cli');
}
