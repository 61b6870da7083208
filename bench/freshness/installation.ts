import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { childEnv } from '../../src/config.js';

/** What `npm start` runs, in a folder of its own. */
export interface Installation {
  url: string;
  stateDir: string;
  /** A folder that a source may follow. */
  documents: string;
  stop: () => Promise<void>;
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

const variables = [
  ...['ANNEAL_API_PORT', 'ANNEAL_INTERNAL_PORT', 'ANNEAL_WORKER_METRICS_PORT'],
  ...['ANNEAL_POSTGRES_PORT', 'ANNEAL_TEMPORAL_PORT', 'ANNEAL_TEMPORAL_UI_PORT'],
];

/** Starts the platform and waits until it takes requests. */
export async function startInstallation(patienceMs: number): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), 'anneal-freshness-'));
  // Started by root, Postgres runs as another account and has to search this folder.
  await chmod(folder, 0o755);
  const documents = await mkdtemp(join(folder, 'documents-'));
  const stateDir = join(folder, 'state');
  const ports: Record<string, string> = {};
  for (const variable of variables) ports[variable] = String(await freePort());
  const child = fork(
    fileURLToPath(new URL('../../src/main/dev.ts', import.meta.url)),
    ['--no-tour'],
    {
      env: childEnv({
        ...ports,
        ANNEAL_STATE_DIR: stateDir,
        ANNEAL_TEMPORAL_METRICS_PORT: '0',
        ANNEAL_SOURCE_FOLDERS: documents,
      }),
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    },
  );
  const ended = once(child, 'exit');
  const url = `http://127.0.0.1:${ports.ANNEAL_API_PORT}`;
  const stop = async (): Promise<void> => {
    if (child.exitCode === null) child.kill('SIGTERM');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const isUp = await fetch(`${url}/v1/openapi.json`).then(
      () => true,
      () => false,
    );
    // The first admin key is written before the API listens.
    const keys = await readFile(join(stateDir, 'keys.json'), 'utf8').catch(() => undefined);
    if (isUp && keys !== undefined) return { url, stateDir, documents, stop };
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop();
      throw new Error('the platform did not start');
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
