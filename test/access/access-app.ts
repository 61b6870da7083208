import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVerifyAudit } from '../../src/activities/audit/index.js';
import { createCheckpointFile } from '../../src/adapters/checkpoint-file/checkpoint-file.js';
import { createAccessStore } from '../../src/adapters/postgres/access.js';
import { createTenantStore } from '../../src/adapters/postgres/access-tenants.js';
import { createAuditStore } from '../../src/adapters/postgres/audit.js';
import { openDatabase, type Database } from '../../src/adapters/postgres/database.js';
import { newId } from '../../src/adapters/postgres/new-id.js';
import { createFileSigningSecrets } from '../../src/adapters/secrets/file-provider.js';
import { accessRoutes, createAuthenticator } from '../../src/api/access/index.js';
import { createApp } from '../../src/api/app.js';
import { auditRoutes } from '../../src/api/audit/index.js';
import { roles, type Role } from '../../src/domain/access/permissions.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

/** What an answer is compared with. */
interface Answer {
  status: number;
  body: Record<string, unknown>;
}

/** One API process: its own authenticator and its own ear for notices. */
export interface ApiProcess {
  /** Sends a request; a mutation gets a key of its own unless one is given. */
  send: (
    method: string,
    path: string,
    more?: { key?: string | undefined; body?: unknown; idempotencyKey?: string },
  ) => Promise<Answer>;
  stop: () => Promise<void>;
}

/** The routes of both capabilities over one database, and the authenticator that listens beside them. */
function wire(db: Database, folders: { keys: string; checkpoints: string }, signal: AbortSignal) {
  const secrets = createFileSigningSecrets(folders.keys);
  const access = createAccessStore(db);
  const audit = createAuditStore(db);
  let listening: Promise<void> = Promise.resolve();
  const authenticate = createAuthenticator({
    findKey: access.findKey,
    pepper: (version) => secrets.pepper(version),
    subscribe: (forget) => {
      const handlers = { onNotice: forget, onReconnect: () => forget('') };
      listening = db.listen('access', handlers, signal);
    },
    nowMs: Date.now,
  });
  const readCheckpoints = createCheckpointFile(folders.checkpoints).read;
  const routes = [
    ...accessRoutes({
      ...access,
      createKey: async (caller, request) =>
        access.createKey(caller, request, await secrets.pepper()),
      nowMs: Date.now,
    }),
    ...auditRoutes({
      listEntries: audit.listEntries,
      verify: createVerifyAudit({ ...audit, readCheckpoints }),
    }),
  ];
  return { audit, authenticate, routes, stopped: () => listening };
}

async function startProcess(
  database: TestDatabase,
  folders: { keys: string; checkpoints: string },
): Promise<ApiProcess> {
  const { api: url } = database.urls;
  const db = openDatabase({ url, poolSize: 5, applicationName: 'anneal-test', patienceMs: 60_000 });
  const stopping = new AbortController();
  const { audit, authenticate, routes, stopped } = wire(db, folders, stopping.signal);
  const app = createApp(routes, {
    authenticate: async (header) => {
      const result = await authenticate(header);
      return typeof result === 'string' ? undefined : result;
    },
    startWorkflow: async () => undefined,
    wakeWorkflow: async () => undefined,
    recordRefusal: audit.recordRefusal,
    newRequestId: () => newId('request'),
    log: { warn: () => undefined, error: () => undefined },
    observe: () => undefined,
    stopping: stopping.signal,
  });
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    send: async (method, path, more = {}) => {
      const { key, body, idempotencyKey = randomUUID() } = more;
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        headers: {
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
          ...(method === 'GET' ? {} : { 'idempotency-key': idempotencyKey }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as Answer['body'] };
    },
    stop: async () => {
      stopping.abort();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await stopped();
      await db.close();
    },
  };
}

/** A test's installation: a database, keys, checkpoints, and any number of API processes. */
export interface AccessWorld {
  database: TestDatabase;
  tenants: ReturnType<typeof createTenantStore>;
  checkpoints: string;
  startProcess: () => Promise<ApiProcess>;
  /** A new tenant and the key of its administrator. */
  newTenant: (more?: {
    title?: string;
    roles?: Role[];
  }) => Promise<{ tenant: string; adminKey: string }>;
  close: () => Promise<void>;
}

/** Builds an installation around the capabilities `access` and `audit` alone. */
export async function createAccessWorld(): Promise<AccessWorld> {
  const database = await createTestDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'anneal-access-'));
  const folders = { keys: join(folder, 'keys'), checkpoints: join(folder, 'audit/checkpoints') };
  const tenants = createTenantStore(database.api);
  const secrets = createFileSigningSecrets(folders.keys);
  const processes: ApiProcess[] = [];
  return {
    database,
    tenants,
    checkpoints: folders.checkpoints,
    startProcess: async () => {
      const started = await startProcess(database, folders);
      processes.push(started);
      return started;
    },
    newTenant: async (more = {}) => {
      const tenant = `t-${randomUUID().slice(0, 8)}`;
      const admin = {
        name: 'admin',
        roles: more.roles ?? (['tenant-admin'] as const),
        env: 'dev' as const,
        pepper: await secrets.pepper(),
      };
      const seed = { tenant, title: more.title ?? tenant, policies: [], admin };
      const { adminKey } = await tenants.bootstrap(seed);
      if (adminKey === undefined) throw new Error('a new tenant has no administrator yet');
      return { tenant, adminKey };
    },
    close: async () => {
      for (const started of processes) await started.stop();
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Creates a principal and a key for it; answers both. */
export async function issue(
  api: ApiProcess,
  adminKey: string,
  what: { name?: string; kind?: string; roles: Role[]; scopes?: string[]; expiresAt?: string },
): Promise<{ principalId: string; keyId: string; key: string }> {
  const { name = randomUUID(), kind = 'person', roles: held, ...rest } = what;
  const created = await api.send('POST', '/v1/principals', {
    key: adminKey,
    body: { kind, name, roles: held },
  });
  if (created.status !== 201) throw new Error(JSON.stringify(created));
  const principalId = created.body.id as string;
  const issued = await api.send('POST', '/v1/api-keys', {
    key: adminKey,
    body: { principalId, env: 'dev', ...rest },
  });
  if (issued.status !== 201) throw new Error(JSON.stringify(issued));
  return { principalId, keyId: issued.body.id as string, key: issued.body.key as string };
}

/** Every role on its own. */
export const eachRole: readonly Role[] = roles;
