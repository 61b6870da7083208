import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../../src/adapters/postgres/embedded.js';
import { migrate } from '../../../src/adapters/postgres/migrate.js';
import { provision, type RolePasswords } from '../../../src/adapters/postgres/provision.js';
import { serverProcesses } from '../../../src/adapters/processes/server-processes.js';
import { connectTemporal } from '../../../src/adapters/temporal/connect.js';
import { startTemporalDevServer } from '../../../src/adapters/temporal/dev-server.js';
import { findTemporal } from '../../../src/adapters/temporal/find-temporal.js';
import { registerSearchAttributes } from '../../../src/adapters/temporal/register-search-attributes.js';
import { childEnv, loadConfig } from '../../../src/config.js';
import { obtainTimeSkippingServer } from './time-skipping.js';

const root = new URL('../../..', import.meta.url).pathname;

/** The servers of one test run and the variables that lead to them. */
export interface TestServers {
  env: Record<string, string>;
  stop: () => Promise<void>;
}

const password = (): string => randomBytes(18).toString('base64url');

/** Postgres with the roles and a migrated template database; each test process clones its own from it. */
async function startPostgres(stateDir: string, log: (line: string) => void) {
  const superuserPassword = password();
  const server = await startEmbeddedPostgres({
    stateDir,
    port: 0,
    superuserPassword,
    durable: false,
    processes: serverProcesses,
    env: childEnv(),
    log,
    settings: { max_connections: 200 },
  });
  const passwords: RolePasswords = {
    anneal_owner: password(),
    anneal_api: password(),
    anneal_worker: password(),
    anneal_relay: password(),
  };
  const urls = await provision(server.adminUrl, passwords, {
    database: 'anneal_template',
    rolesSql: join(root, 'prisma/roles.sql'),
  });
  await migrate(urls.owner, join(root, 'prisma/migrations'));
  return { server, passwords };
}

/** Starts Postgres and Temporal for one run, and names the time-skipping server where it can be had. */
export async function startTestServers(options: {
  stateDir: string;
  log: (line: string) => void;
}): Promise<TestServers> {
  const { stateDir, log } = options;
  const { server, passwords } = await startPostgres(stateDir, log);
  try {
    return await startBeside({ server, passwords, stateDir, log });
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Temporal and what there is besides, next to a running Postgres. */
async function startBeside({
  server,
  passwords,
  stateDir,
  log,
}: Awaited<ReturnType<typeof startPostgres>> & {
  stateDir: string;
  log: (line: string) => void;
}): Promise<TestServers> {
  const config = loadConfig();
  const found = await findTemporal({
    env: childEnv(),
    cacheDir: config.cacheDir,
    devServerSource: join(root, 'tools/temporal-dev'),
    log,
  });
  if (found.kind !== 'binary') throw new Error('the tests start their own Temporal server');
  const temporal = await startTemporalDevServer({
    binary: found.path,
    processes: serverProcesses,
    headless: true,
    namespace: 'default',
    dbFilename: join(stateDir, 'temporal.db'),
    logFile: join(stateDir, 'temporal.log'),
    env: childEnv(),
    log,
  });
  const { connection, close } = await connectTemporal({
    connection: { address: temporal.address },
    namespace: 'default',
    patienceMs: 20_000,
  });
  await registerSearchAttributes(connection, 'default');
  await close();
  const timeSkipping = await obtainTimeSkippingServer({
    cacheDir: config.cacheDir,
    env: childEnv(),
    log,
  });
  return {
    env: {
      ANNEAL_TEST_POSTGRES_ADMIN_URL: server.adminUrl,
      ANNEAL_TEST_ROLE_PASSWORDS: JSON.stringify(passwords),
      ANNEAL_TEST_TEMPORAL_ADDRESS: temporal.address,
      ...(timeSkipping === undefined ? {} : { ANNEAL_TEST_TIME_SKIPPING_SERVER: timeSkipping }),
    },
    stop: async () => {
      await temporal.stop();
      await server.stop();
    },
  };
}
