import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { serverProcesses } from '../../src/adapters/processes/server-processes.js';
import { startTemporalDevServer } from '../../src/adapters/temporal/dev-server.js';
import type { DevServer } from '../../src/adapters/temporal/dev-server.js';
import { findTemporal } from '../../src/adapters/temporal/find-temporal.js';
import { registerSearchAttributes } from '../../src/adapters/temporal/register-search-attributes.js';
import { setNamespaceRetention } from '../../src/adapters/temporal/set-namespace-retention.js';
import { childEnv, loadConfig } from '../../src/config.js';
import { searchAttributes } from '../../src/domain/search-attributes.js';

const dayMs = 24 * 60 * 60 * 1_000;
let binary: string;
let folder: string;
const started: DevServer[] = [];
const connections: Connection[] = [];

beforeAll(async () => {
  const found = await findTemporal({
    env: childEnv(),
    cacheDir: loadConfig().cacheDir,
    devServerSource: new URL('../../tools/temporal-dev', import.meta.url).pathname,
    log: () => undefined,
  });
  if (found.kind !== 'binary') throw new Error('no binary');
  binary = found.path;
}, 900_000);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anneal-temporal-'));
});
afterEach(async () => {
  for (const connection of connections.splice(0)) await connection.close();
  for (const server of started.splice(0)) await server.stop();
  await rm(folder, { recursive: true });
});

async function start(
  more: { port?: number; dbFilename?: string; binary?: string } = {},
): Promise<DevServer> {
  const server = await startTemporalDevServer({
    binary,
    headless: true,
    dbFilename: join(folder, 'temporal.db'),
    logFile: join(folder, 'temporal.log'),
    env: childEnv(),
    log: () => undefined,
    processes: serverProcesses,
    ...more,
  });
  started.push(server);
  return server;
}

async function connectTo({ address }: DevServer): Promise<Connection> {
  const connection = await Connection.connect({ address });
  connections.push(connection);
  return connection;
}

describe('the Temporal dev server', () => {
  it('keeps running workflows when it is killed and started again on the same file', async () => {
    const first = await start();
    const before = new Client({ connection: await connectTo(first) });
    await before.workflow.start('waits', { workflowId: 'kept', taskQueue: 'nobody' });
    process.kill(first.pid, 'SIGKILL');
    await first.exited;
    const second = await start();
    const after = new Client({ connection: await connectTo(second) });
    const { status } = await after.workflow.getHandle('kept').describe();
    expect(status.name).toBe('RUNNING');
  }, 60_000);

  it('starts again where one of its own parts loses its port to somebody else, and not for ever', async () => {
    const unlucky = join(folder, 'unlucky.sh');
    const times = join(folder, 'times');
    const script = (failures: number): string =>
      [
        '#!/bin/sh',
        `echo once >> '${times}'`,
        `if [ "$(wc -l < '${times}')" -le ${failures} ]; then`,
        '  echo "listen tcp 127.0.0.1:1: bind: address already in use"',
        '  exit 1',
        'fi',
        `exec '${binary}' "$@"`,
      ].join('\n');
    await writeFile(unlucky, script(2), { mode: 0o755 });
    await connectTo(await start({ binary: unlucky }));
    await writeFile(unlucky, script(100), { mode: 0o755 });
    const other = { binary: unlucky, dbFilename: join(folder, 'other.db') };
    await expect(start(other)).rejects.toThrow(/address already in use/);
    expect((await readFile(times, 'utf8')).trim().split('\n')).toHaveLength(6);
  }, 60_000);

  it('refuses a database that a running start uses, and a port that is taken', async () => {
    const { address } = await start();
    await expect(start()).rejects.toThrow(/already runs on this state folder/);
    const port = Number(address.split(':')[1]);
    const other = { dbFilename: join(folder, 'other.db'), port };
    await expect(start(other)).rejects.toThrow(
      `Port ${port} on 127.0.0.1 is in use: set ANNEAL_TEMPORAL_PORT`,
    );
  }, 60_000);

  it('takes search attributes and retention for a namespace that exists, once and again', async () => {
    const connection = await connectTo(await start());
    const settle = async () => {
      await registerSearchAttributes(connection, 'default');
      await setNamespaceRetention(connection, 'default');
    };
    await settle();
    await settle();
    const { config } = await connection.workflowService.describeNamespace({ namespace: 'default' });
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds) * 1_000).toBe(30 * dayMs);
    const client = new Client({ connection });
    await client.workflow.start('waits', {
      workflowId: 'found',
      taskQueue: 'nobody',
      typedSearchAttributes: [{ key: searchAttributes.Tenant, value: 'ten_1' }],
    });
    const { status } = await client.workflow.getHandle('found').describe();
    expect(status.name).toBe('RUNNING');
  }, 60_000);

  it('refuses a search attribute that exists under another type, with the command that removes it', async () => {
    const connection = await connectTo(await start());
    const int = 3;
    await connection.operatorService.addSearchAttributes({
      namespace: 'default',
      searchAttributes: { Tenant: int },
    });
    await expect(registerSearchAttributes(connection, 'default')).rejects.toThrow(
      'temporal operator search-attribute remove --namespace default --name Tenant',
    );
  }, 60_000);

  it('gives the end of its log when it ends before it is ready', async () => {
    await mkdir(join(folder, 'temporal.db'));
    await expect(start()).rejects.toThrow(/ended with code 1 before it was ready: .*temporal\.db/);
  }, 60_000);
});
