import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../eventually.js';
import { freePort } from './free-port.js';

const version = '3.2.2';
/** Milvus Lite, the messages it speaks, and the wheels both were tried with. */
const wheels = [
  `milvus-lite==${version}`,
  'pymilvus==3.0.2',
  'faiss-cpu==1.15.1',
  'grpcio==1.85.1',
  'numpy==2.4.6',
  'pyarrow==26.0.1',
];
const run = promisify(execFile);

/** A running server, made for one test run. */
export interface MilvusServer {
  /** For the client: `host:port`. */
  address: string;
  dataDir: string;
  /** A Python that reads the server's file formats. */
  python: (script: string, input: string) => Promise<string>;
  stop: () => Promise<void>;
}

export interface MilvusOptions {
  /** `ANNEAL_CACHE_DIR`. */
  cacheDir: string;
  env: Readonly<Record<string, string | undefined>>;
}

/** Starts the server on a free loopback port; the reason where it cannot be had. */
export async function startMilvus(options: MilvusOptions): Promise<MilvusServer | string> {
  const cached = join(options.cacheDir, `milvus-lite-${version}`);
  try {
    await readdir(cached).catch(() => obtain(cached, options.env));
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr ?? error);
    return `Milvus Lite ${version} cannot be had: ${said.trim().split('\n').at(-1)}`;
  }
  return start(cached, options.env);
}

async function obtain(folder: string, env: MilvusOptions['env']): Promise<void> {
  const fresh = `${folder}.${process.pid}.tmp`;
  try {
    await mkdir(fresh, { recursive: true });
    const flags = ['--only-binary=:all:', '--quiet', '--disable-pip-version-check'];
    await run('python3', ['-m', 'pip', 'install', ...flags, '--target', fresh, ...wheels], {
      env: { ...env },
      timeout: 600_000,
    });
    await rename(fresh, folder).catch((error: NodeJS.ErrnoException) => {
      // Another run was faster.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

async function start(packages: string, env: MilvusOptions['env']): Promise<MilvusServer> {
  const folder = await mkdtemp(join(tmpdir(), 'anneal-milvus-'));
  const dataDir = join(folder, 'data');
  const port = await freePort();
  const python = { env: { ...env, PYTHONPATH: packages, HOME: folder }, cwd: folder };
  const child = spawn(
    'python3',
    [
      ...['-m', 'milvus_lite', 'server', '--data-dir', dataDir],
      // One call at a time: a read beside a flush would miss the rows that are on their way to a file.
      ...['--host', '127.0.0.1', '--port', String(port), '--max-workers', '1'],
    ],
    { ...python, stdio: 'ignore' },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await eventually(() => listens(port), { timeoutMs: 60_000, everyMs: 100 });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    address: `127.0.0.1:${port}`,
    dataDir,
    python: async (script, input) => {
      const running = run('python3', ['-c', script], { ...python, maxBuffer: 16 * 1024 * 1024 });
      running.child.stdin?.end(input);
      return (await running).stdout;
    },
    stop,
  };
}

const listens = (port: number) =>
  new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1').once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
  });

/** Vectors in WAL and index files lie as they are; Parquet files are compressed, so they are read as tables. */
const findVectors = `
import json, os, sys
import numpy, pyarrow.parquet
asked = json.load(sys.stdin)
needles = [bytes.fromhex(text) for text in asked["needles"]]
held = set()
for folder, _, names in os.walk(asked["folder"]):
    for name in names:
        path = os.path.join(folder, name)
        chunks = []
        try:
            if name.endswith(".parquet"):
                table = pyarrow.parquet.read_table(path)
                if "embedding" in table.column_names:
                    for chunk in table.column("embedding").chunks:
                        chunks.append(numpy.asarray(chunk.flatten(), dtype="<f4").tobytes())
            with open(path, "rb") as file:
                chunks.append(file.read())
        except FileNotFoundError:
            continue
        for at, needle in enumerate(needles):
            if any(needle in chunk for chunk in chunks):
                held.add(at)
print(len(held))
`;

/** How many of these vectors, as the bytes of their 32-bit floats, are in a file of the server. */
export async function countHeldVectors(
  { python, dataDir }: MilvusServer,
  needles: readonly Buffer[],
): Promise<number> {
  const asked = { folder: dataDir, needles: needles.map((needle) => needle.toString('hex')) };
  return Number(await python(findVectors, JSON.stringify(asked)));
}
