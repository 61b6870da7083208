import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { startEmbeddedPostgres } from '../../src/adapters/postgres/embedded.js';
import type { EmbeddedPostgres } from '../../src/adapters/postgres/embedded.js';
import { serverProcesses } from '../../src/adapters/processes/server-processes.js';
import { childEnv } from '../../src/config.js';

let clone: string;
let said: string[];
const started: EmbeddedPostgres[] = [];

beforeEach(async () => {
  clone = await mkdtemp(join(tmpdir(), 'anneal-clone-'));
  await chmod(clone, 0o755);
  said = [];
});
afterEach(async () => {
  const servers = started.splice(0);
  // Two of them may have had the same folder: none is removed under a server.
  for (const server of servers) await server.stop();
  for (const { location } of servers)
    if (location.relocated) await rm(location.folder, { recursive: true, force: true });
  await rm(clone, { recursive: true });
});

async function start(port = 0): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({
    stateDir: join(clone, '.anneal'),
    port,
    superuserPassword: 'p@ss/word',
    durable: false,
    env: childEnv(),
    log: (line) => said.push(line),
    processes: serverProcesses,
  });
  started.push(server);
  return server;
}

async function rowsOf<Row extends object>(server: EmbeddedPostgres, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: server.adminUrl });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('the embedded Postgres', () => {
  it('keeps what was committed when it is killed, and starts again on the same cluster', async () => {
    const first = await start();
    await rowsOf(first, 'create table kept (n int)');
    await rowsOf(first, 'insert into kept values (1)');
    process.kill(first.pid, 'SIGKILL');
    await first.exited;
    const second = await start();
    expect(await rowsOf(second, 'select n from kept')).toEqual([{ n: 1 }]);
  }, 60_000);

  it('listens on the loopback alone, wants a password and checks its pages', async () => {
    const server = await start();
    const [settings] = await rowsOf(
      server,
      `select current_setting('listen_addresses') as addresses,
              current_setting('unix_socket_directories') as sockets,
              current_setting('data_checksums') as checksums,
              (select bool_and(auth_method = 'scram-sha-256') from pg_hba_file_rules) as scram`,
    );
    expect(settings).toEqual({ addresses: '127.0.0.1', sockets: '', checksums: 'on', scram: true });
    const wrong = new URL(server.adminUrl);
    wrong.password = 'guess';
    await expect(new Client({ connectionString: wrong.href }).connect()).rejects.toThrow(
      /password authentication failed/,
    );
  }, 60_000);

  it('leaves a foreign process alone that has the pid of a server long gone', async () => {
    const first = await start();
    await first.stop();
    const foreign = spawn('sleep', ['600']);
    try {
      const pidFile = join(first.location.clusterDir, 'postmaster.pid');
      await writeFile(pidFile, `${foreign.pid}\n${first.location.clusterDir}\n1\n1\n\n\n\n`);
      await start();
      expect(foreign.exitCode).toBeNull();
      expect(foreign.signalCode).toBeNull();
    } finally {
      foreign.kill();
    }
  }, 60_000);

  it('refuses a state folder that a running start uses', async () => {
    await start();
    await expect(start()).rejects.toThrow(/already runs on this state folder.*ANNEAL_STATE_DIR/);
  }, 60_000);

  it('names the variable to set where its port is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = other.address() as AddressInfo;
      await expect(start(port)).rejects.toThrow(
        `Port ${port} on 127.0.0.1 is in use: set ANNEAL_POSTGRES_PORT`,
      );
    } finally {
      other.close();
    }
  }, 60_000);
});

const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

asRoot('the embedded Postgres of root', () => {
  it('runs unprivileged, in a recorded folder elsewhere where the clone is private', async () => {
    await chmod(clone, 0o700);
    const first = await start();
    const { folder, account, clusterDir, relocated } = first.location;
    expect(relocated).toBe(true);
    expect(folder).toMatch(/^\/var\/tmp\/anneal-[0-9a-f]{12}$/);
    expect((await stat(clusterDir)).uid).toBe(account?.uid);
    expect(said).toContainEqual(expect.stringContaining(`cannot search ${clone}`));
    const recorded: unknown = JSON.parse(
      await readFile(join(clone, '.anneal', 'postgres-location.json'), 'utf8'),
    );
    expect(recorded).toMatchObject({ folder });
    await rowsOf(first, 'create table kept (n int)');
    await first.stop();
    // The record decides from now on: opening the clone up must not lose the data.
    await chmod(clone, 0o755);
    const second = await start();
    expect(second.location.folder).toBe(folder);
    expect(await rowsOf(second, 'select * from kept')).toEqual([]);
  }, 60_000);

  it('brings the cluster along when a clone becomes private', async () => {
    const first = await start();
    expect(first.location.relocated).toBe(false);
    await rowsOf(first, 'create table kept (n int)');
    await first.stop();
    await chmod(clone, 0o700);
    const second = await start();
    expect(second.location.relocated).toBe(true);
    expect(await rowsOf(second, 'select * from kept')).toEqual([]);
  }, 60_000);

  it('begins anew, and keeps the former cluster aside, when the state folder was removed', async () => {
    await chmod(clone, 0o700);
    const first = await start();
    await rowsOf(first, 'create table former (n int)');
    await first.stop();
    await rm(join(clone, '.anneal'), { recursive: true });
    const second = await start();
    await expect(rowsOf(second, 'select * from former')).rejects.toThrow(/does not exist/);
    expect(said).toContainEqual(expect.stringContaining('was set aside'));
  }, 60_000);
});
