import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RoleUrls } from '../../src/adapters/postgres/provision.js';
import { childEnv, loadConfig } from '../../src/config.js';
import { startDevPostgres } from '../../src/main/dev-services.js';

/** What the durable sides run on: the product's own Postgres, and a folder. */
export interface Installation {
  folder: string;
  urls: RoleUrls;
  adminUrl: string;
  /** Process id of Postgres. */
  postgresPid: number;
  stop: () => Promise<void>;
}

/** Starts a migrated Postgres in a folder of its own. */
export async function startInstallation(say: (line: string) => void): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), 'anneal-bench-'));
  // Started by root, Postgres runs as another account and has to search this folder.
  await chmod(folder, 0o755);
  const config = loadConfig(childEnv({ ANNEAL_STATE_DIR: folder, ANNEAL_POSTGRES_PORT: '0' }));
  const { server, urls } = await startDevPostgres(config, say);
  const adminUrl = new URL(server.adminUrl);
  adminUrl.pathname = '/anneal';
  return {
    folder,
    urls,
    adminUrl: adminUrl.toString(),
    postgresPid: server.pid,
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
