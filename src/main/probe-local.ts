import { randomUUID } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openFolderStore } from '../adapters/artifacts/folder-store.js';
import { createOnnxRuntime } from '../adapters/onnx/create-onnx-runtime.js';
import { openDatabase, type Database } from '../adapters/postgres/database.js';
import { assertSchema, readMigrations } from '../adapters/postgres/migrate.js';
import { startChild } from '../adapters/processes/start-child.js';
import { isAtLeast } from '../adapters/temporal/temporal-pins.js';
import type { Probe, ProbeResult } from '../cli/doctor.js';
import { childEnv, type Config } from '../config.js';
import { SYSTEM_TENANT } from '../domain/access/contract.js';
import { localDatabaseUrl } from './local-database-url.js';
import { projectFolder } from './project-folder.js';

// Probes of this machine: Node, database, clock, artifact store, model runtime, keys.

const OLDEST_NODE = '22.13.0';
const LARGEST_SKEW_MS = 1_000;
const NOT_STARTED = 'the platform has not been started here yet';

/** The Node that runs this. */
export const nodeProbe = (): Probe => ({
  name: 'Node',
  fix: `npm ci   # brings the pinned Node; or install Node ${OLDEST_NODE} or newer`,
  check: async () => ({
    ok: isAtLeast(process.versions.node, OLDEST_NODE),
    detail: `${process.versions.node} at ${process.execPath}`,
  }),
});

async function withDatabase(
  config: Config,
  work: (db: Database, url: string) => Promise<ProbeResult>,
): Promise<ProbeResult> {
  const url = await localDatabaseUrl(config);
  if (url === undefined) return { ok: false, detail: NOT_STARTED, fix: 'npm start' };
  const db = openDatabase({ url, poolSize: 1, applicationName: 'anneal-doctor' });
  try {
    return await work(db, url);
  } finally {
    await db.close();
  }
}

const addressOf = (url: string): string => {
  const { host, pathname, username } = new URL(url);
  return `${host}${pathname} as ${username}`;
};

const reachFix = (config: Config): string =>
  config.postgres.apiUrl === undefined
    ? 'npm start'
    : 'start that server, or correct ANNEAL_API_DATABASE_URL';

/** Postgres answers the API's role. */
export const postgresProbe = (config: Config): Probe => ({
  name: 'Postgres',
  fix: reachFix(config),
  check: () =>
    withDatabase(config, async (db, url) => {
      // No table is read, so no tenant has to be set.
      const [row] = await db.call(`select current_setting('server_version') as version`, []);
      return { ok: true, detail: `${String(row?.['version'])} at ${addressOf(url)}` };
    }),
});

const migrateCommand = import.meta.url.endsWith('.ts')
  ? 'npx tsx src/main/migrate.ts'
  : 'node dist/main/migrate.js';

/** The schema is exactly this build's. */
export const schemaProbe = (config: Config): Probe => ({
  name: 'Postgres schema',
  fix:
    config.postgres.apiUrl === undefined
      ? 'npm start'
      : `DATABASE_URL=<URL of role anneal_owner> ${migrateCommand}`,
  check: () =>
    withDatabase(config, async (_db, url) => {
      const folder = projectFolder('prisma/migrations');
      await assertSchema(url, folder);
      const known = await readMigrations(folder);
      return { ok: true, detail: `${known.length} migrations, ${known.at(-1)?.name ?? 'none'}` };
    }),
});

/** The database's clock agrees with ours; half the round trip is taken as the way there. */
export const clockProbe = (config: Config): Probe => ({
  name: 'Clock',
  fix: reachFix(config),
  check: () =>
    withDatabase(config, async (db) => {
      const sql = 'select extract(epoch from clock_timestamp()) * 1000 as ms';
      // The first call also opens the connection.
      await db.call(sql, []);
      const before = Date.now();
      const [row] = await db.call(sql, []);
      const skew = Math.round(Number(row?.['ms']) - (before + Date.now()) / 2);
      const detail = `the database is ${Math.abs(skew)} ms ${skew < 0 ? 'behind' : 'ahead'}; at most ${LARGEST_SKEW_MS} ms`;
      return Math.abs(skew) <= LARGEST_SKEW_MS
        ? { ok: true, detail }
        : { ok: false, detail, fix: 'timedatectl set-ntp true   # on both machines' };
    }),
});

async function* probeBytes() {
  yield Buffer.from(randomUUID());
}

/** An object can be written, read back and removed. */
export const artifactProbe = (config: Config): Probe => {
  const root = join(config.stateDir, 'artifacts');
  return {
    name: 'Artifact store',
    fix: `chmod u+rwx ${root}   # and free space on its disk`,
    check: async () => {
      const store = await openFolderStore({ root, nowMs: Date.now() });
      const scope = `doctor-${randomUUID()}`;
      const tenantId = SYSTEM_TENANT;
      try {
        const { ref } = await store.putStaged({
          tenantId,
          scope,
          name: 'probe',
          body: probeBytes(),
        });
        const read = await store.stat(ref);
        return { ok: read !== undefined, detail: `${root} is writable` };
      } finally {
        await store.dropStaged(tenantId, scope);
      }
    },
  };
};

/** The model runtime's child process starts and finds its native library. */
export const runtimeProbe = (): Probe => ({
  name: 'Model runtime',
  fix: 'npm ci --include=optional   # brings onnxruntime-node',
  timeoutMs: 20_000,
  check: async (signal) => {
    const runtime = createOnnxRuntime({
      slots: 1,
      startChild: (entry, data) => startChild(entry, { data, env: childEnv() }),
      locateArtifact: () => Promise.reject(new Error('no model is loaded here')),
    });
    try {
      for (;;) {
        signal.throwIfAborted();
        const { status, reason, slots } = await runtime.health(signal);
        if (status === 'unavailable') return { ok: false, detail: reason ?? 'unavailable' };
        if (slots.every(({ state }) => state === 'idle'))
          return { ok: true, detail: 'onnxruntime loads in its child process' };
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } finally {
      runtime.close();
    }
  },
});

/** Paths that more than their owner may read, below a folder of secrets. */
async function openPaths(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = [folder, ...entries.map((entry) => join(entry.parentPath, entry.name))];
  const modes = await Promise.all(paths.map(async (path) => (await stat(path)).mode & 0o077));
  return paths.filter((_path, index) => modes[index] !== 0);
}

/** Keys exist and are their owner's alone. */
export const keysProbe = (config: Config): Probe => {
  const folder = join(config.stateDir, 'keys');
  const keysFile = join(config.stateDir, 'keys.json');
  return {
    name: 'State and keys',
    fix: 'npm start',
    check: async () => {
      if ((await stat(folder).catch(() => undefined)) === undefined)
        return { ok: false, detail: `${folder}: ${NOT_STARTED}` };
      const file = await stat(keysFile).catch(() => undefined);
      const open = await openPaths(folder);
      if (file !== undefined && (file.mode & 0o077) !== 0) open.push(keysFile);
      if (open.length === 0) return { ok: true, detail: `${folder} is its owner's alone` };
      return {
        ok: false,
        detail: `others may read ${open.join(', ')}`,
        fix: `chmod -R go-rwx ${folder}${file === undefined ? '' : ` ${keysFile}`}`,
      };
    },
  };
};
