import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { openDatabase, type Database } from '../../src/adapters/postgres/database.js';
import {
  provision,
  type RolePasswords,
  type RoleUrls,
} from '../../src/adapters/postgres/provision.js';

/** A database of this test file alone, cloned from the migrated template. */
export interface TestDatabase {
  urls: RoleUrls;
  /** Superuser URL of this very database: for tampering and looking from outside. */
  adminUrl: string;
  api: Database;
  worker: Database;
  relay: Database;
  /** Runs SQL as superuser, past every policy. */
  asSuperuser: (sql: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;
  close: () => Promise<void>;
}

const required = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run tests through \`npm test\``);
  return value;
};

/** Clones the template; call once per test file. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const serverUrl = required('ANNEAL_TEST_POSTGRES_ADMIN_URL');
  const passwords = JSON.parse(required('ANNEAL_TEST_ROLE_PASSWORDS')) as RolePasswords;
  const database = `test_${process.pid}_${randomBytes(4).toString('hex')}`;
  const urls = await provision(serverUrl, passwords, {
    database,
    rolesSql: new URL('../../prisma/roles.sql', import.meta.url).pathname,
    template: 'anneal_template',
  });
  const adminUrl = new URL(serverUrl);
  adminUrl.pathname = `/${database}`;
  const superuser = new pg.Pool({ connectionString: adminUrl.toString(), max: 2 });
  superuser.on('error', () => undefined);
  const open = (url: string) =>
    openDatabase({ url, poolSize: 5, applicationName: 'anneal-test', patienceMs: 60_000 });
  const [api, worker, relay] = [open(urls.api), open(urls.worker), open(urls.relay)];
  return {
    urls,
    adminUrl: adminUrl.toString(),
    api,
    worker,
    relay,
    asSuperuser: async (sql, values = []) =>
      (await superuser.query<Record<string, unknown>>(sql, values)).rows,
    close: async () => {
      await Promise.all([api.close(), worker.close(), relay.close(), superuser.end()]);
      const server = new pg.Client({ connectionString: serverUrl });
      await server.connect();
      await server.query(
        `drop database if exists ${server.escapeIdentifier(database)} with (force)`,
      );
      await server.end();
    },
  };
}
