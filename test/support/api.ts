import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTenantStore } from '../../src/adapters/postgres/access-tenants.js';
import { createAccessStore } from '../../src/adapters/postgres/access.js';
import { createFileSigningSecrets } from '../../src/adapters/secrets/file-provider.js';
import { loadConfig } from '../../src/config.js';
import type { Role } from '../../src/domain/access/permissions.js';
import type { Env } from '../../src/domain/ids.js';
import { createPublicServer } from '../../src/main/api.js';
import { policySeeds } from '../../src/main/bootstrap-installation.js';
import { openParts, type Parts } from '../../src/main/dependencies.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { connectTestTemporal, type TestTemporal } from './temporal.js';

/** An answer of the API, read. */
export interface ApiAnswer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

/** Who calls: a principal of one tenant and its key. */
export interface TestCaller {
  principalId: string;
  key: string;
}

/** The whole public API in this process, on its own database and namespace. */
export interface TestApi {
  url: string;
  database: TestDatabase;
  temporal: TestTemporal;
  parts: Parts;
  /** Makes a tenant with its policies; its administrator is of no use here. */
  createTenant: (tenant: string) => Promise<void>;
  createCaller: (tenant: string, roles: Role[], env?: Env) => Promise<TestCaller>;
  /** Sends one request, `GET /v1/models`; every mutation gets an Idempotency-Key of its own. */
  call: (key: string, operation: string, body?: unknown) => Promise<ApiAnswer>;
  stop: () => Promise<void>;
}

const system = { subject: 'system', kind: 'system' as const, roles: [], via: 'test' };

export async function send(request: {
  url: string;
  key: string;
  operation: string;
  body?: unknown;
}): Promise<ApiAnswer> {
  const [method = 'GET', path = '/'] = request.operation.split(' ');
  const response = await fetch(`${request.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${request.key}`,
      ...(method === 'GET' ? {} : { 'idempotency-key': crypto.randomUUID() }),
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
  });
  const text = await response.text();
  const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body };
}

/** Tenants and people of a test, made by the stores that the API itself uses. */
export function createPeople(database: TestDatabase, keyFolder: string) {
  const secrets = createFileSigningSecrets(keyFolder);
  const access = createAccessStore(database.api);
  let names = 0;
  return {
    createTenant: async (tenant: string): Promise<void> => {
      await createTenantStore(database.api).bootstrap({
        tenant,
        title: tenant,
        policies: policySeeds(),
        admin: {
          name: 'admin',
          roles: ['tenant-admin', 'platform-operator'],
          env: 'prod',
          pepper: await secrets.pepper(),
        },
      });
    },
    createCaller: async (tenant: string, held: Role[], env: Env = 'prod'): Promise<TestCaller> => {
      const caller = { tenant, actor: { ...system, roles: ['tenant-admin', 'platform-operator'] } };
      const kind = held.includes('service') ? ('service' as const) : ('person' as const);
      const input = { kind, name: `caller-${++names}`, roles: held, groups: [] };
      const { body } = await access.createPrincipal(caller, input);
      const asked = { principalId: body.id, env };
      const { key } = await access.createKey(caller, asked, await secrets.pepper());
      if (key === undefined) throw new Error('no key was issued');
      return { principalId: body.id, key };
    },
  };
}

/** Where the API finds what it stands on. */
export interface TestServices {
  databaseUrl: string;
  temporalAddress: string;
}

/**
 * Starts the API with real parts: Postgres, Temporal, file secrets. One per test file. `reach` may put something between it
 * and the two servers; the test itself talks to them directly. `env` is what the configuration has besides.
 */
export async function startTestApi(
  reach: (direct: TestServices) => Promise<TestServices> = async (direct) => direct,
  env: Record<string, string> = {},
): Promise<TestApi> {
  const database = await createTestDatabase();
  const temporal = await connectTestTemporal();
  const { databaseUrl, temporalAddress } = await reach({
    databaseUrl: database.urls.api,
    temporalAddress: temporal.address,
  });
  const stateDir = await mkdtemp(join(tmpdir(), 'anneal-api-'));
  const config = loadConfig({
    ANNEAL_STATE_DIR: stateDir,
    ANNEAL_API_PORT: '0',
    ANNEAL_API_DATABASE_URL: databaseUrl,
    ANNEAL_LOG_LEVEL: 'error',
    TEMPORAL_ADDRESS: temporalAddress,
    TEMPORAL_NAMESPACE: temporal.namespace,
    ...env,
  });
  const parts = await openParts(config, { name: 'api', databaseUrl });
  const stopping = new AbortController();
  const { server, loops, close } = await createPublicServer(parts, stopping.signal);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    database,
    temporal,
    parts,
    ...createPeople(database, parts.keyFolder),
    call: (key, operation, body) => send({ url, key, operation, body }),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      stopping.abort();
      await loops.ended;
      await close();
      await parts.close();
      await temporal.stop();
      await database.close();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}
