import { readFile } from 'node:fs/promises';
import { openClient } from './open-client.js';

/** The login roles and their passwords. */
export type RolePasswords = Record<
  'anneal_owner' | 'anneal_api' | 'anneal_worker' | 'anneal_relay',
  string
>;

/** URLs of one database, one per role. */
export interface RoleUrls {
  owner: string;
  api: string;
  worker: string;
  relay: string;
}

// Roles belong to the whole server: two who alter one at the same instant get "tuple concurrently updated".
const LOCK_KEY = 7_081_202_612;

/** The URL of `adminUrl`'s server for another role and database. */
function urlFor(
  adminUrl: string,
  role: string,
  more: { password: string; database: string },
): string {
  const url = new URL(adminUrl);
  url.username = role;
  url.password = more.password;
  url.pathname = `/${more.database}`;
  return url.toString();
}

/** The four URLs of a provisioned database. */
const roleUrls = (adminUrl: string, passwords: RolePasswords, database: string): RoleUrls => ({
  owner: urlFor(adminUrl, 'anneal_owner', { password: passwords.anneal_owner, database }),
  api: urlFor(adminUrl, 'anneal_api', { password: passwords.anneal_api, database }),
  worker: urlFor(adminUrl, 'anneal_worker', { password: passwords.anneal_worker, database }),
  relay: urlFor(adminUrl, 'anneal_relay', { password: passwords.anneal_relay, database }),
});

/**
 * Creates roles and database on a server we administer (the bundled one, or a test's). Idempotent; those who
 * provision one server at the same time go one after the other.
 * @param how.rolesSql path of prisma/roles.sql
 * @param how.template database to clone, for tests
 */
export async function provision(
  adminUrl: string,
  passwords: RolePasswords,
  how: { database: string; rolesSql: string; template?: string },
): Promise<RoleUrls> {
  const client = await openClient({
    connectionString: adminUrl,
    application_name: 'anneal-provision',
  });
  try {
    await client.query('select pg_advisory_lock($1)', [LOCK_KEY]);
    await client.query(await readFile(how.rolesSql, 'utf8'));
    for (const [role, password] of Object.entries(passwords)) {
      await client.query(
        `alter role ${client.escapeIdentifier(role)} password ${client.escapeLiteral(password)}`,
      );
    }
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [
      how.database,
    ]);
    if (rowCount === 0) {
      const template =
        how.template === undefined ? '' : ` template ${client.escapeIdentifier(how.template)}`;
      await client.query(
        `create database ${client.escapeIdentifier(how.database)} owner anneal_owner${template}`,
      );
      await client.query(
        `revoke connect, temporary on database ${client.escapeIdentifier(how.database)} from public`,
      );
      await client.query(
        `grant connect on database ${client.escapeIdentifier(how.database)} to anneal_api, anneal_worker, anneal_relay`,
      );
    }
  } finally {
    await client.end();
  }
  return roleUrls(adminUrl, passwords, how.database);
}
