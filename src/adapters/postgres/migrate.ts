import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { sha256Hex } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import { openClient } from './open-client.js';

/** A migration as it lies in the folder: its name and the SHA-256 of its SQL. */
export interface MigrationFile {
  name: string;
  checksum: string;
  sql: string;
}

/** What a run of the migrations did. */
export interface MigrationReport {
  applied: string[];
  /** Migrations in the folder, in order; the last one is the schema's version. */
  known: string[];
}

// One lock for all who migrate this database; the number is arbitrary and ours.
const LOCK_KEY = 7_081_202_611;

/** Prisma's own table and columns, so that `prisma migrate deploy` stays usable on the same database. */
const CREATE_TABLE = `create table if not exists _prisma_migrations (
  id varchar(36) primary key not null, checksum varchar(64) not null, finished_at timestamptz,
  migration_name varchar(255) not null, logs text, rolled_back_at timestamptz,
  started_at timestamptz not null default now(), applied_steps_count integer not null default 0)`;

/** Reads prisma/migrations, sorted by name. */
export async function readMigrations(folder: string): Promise<MigrationFile[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(join(folder, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: sha256Hex(sql) };
    }),
  );
}

const appliedOf = async (client: pg.Client): Promise<Map<string, string>> => {
  const { rows } = await client.query<{ migration_name: string; checksum: string }>(
    'select migration_name, checksum from _prisma_migrations where finished_at is not null and rolled_back_at is null',
  );
  return new Map(rows.map((row) => [row.migration_name, row.checksum]));
};

/** What is wrong between a folder and a database; empty where the schema is exactly this build's. */
function schemaDifferences(known: MigrationFile[], applied: Map<string, string>): string[] {
  const wrong: string[] = [];
  for (const { name, checksum } of known) {
    const found = applied.get(name);
    if (found === undefined) wrong.push(`${name} is not applied`);
    else if (found !== checksum) wrong.push(`${name} was edited after it was applied`);
    applied.delete(name);
  }
  for (const name of applied.keys()) wrong.push(`${name} is applied but unknown to this build`);
  return wrong;
}

/**
 * Applies the migrations that are missing: one advisory lock, one transaction per file, SHA-256 checksums. Fails closed
 * on an edited or unknown migration.
 * @param ownerUrl URL of role anneal_owner
 * @throws SCHEMA_MISMATCH
 */
export async function migrate(ownerUrl: string, folder: string): Promise<MigrationReport> {
  const known = await readMigrations(folder);
  const client = await openClient({
    connectionString: ownerUrl,
    application_name: 'anneal-migrate',
  });
  try {
    await client.query('select pg_advisory_lock($1)', [LOCK_KEY]);
    await client.query(CREATE_TABLE);
    await client.query(
      'grant select on _prisma_migrations to anneal_api, anneal_worker, anneal_relay',
    );
    const before = await appliedOf(client);
    const missing = known.filter(({ name }) => !before.has(name));
    const wrong = schemaDifferences(known, before).filter(
      (line) => !line.endsWith('is not applied'),
    );
    if (wrong.length > 0) throw new PlatformError('SCHEMA_MISMATCH', wrong.join('; '));
    for (const { name, sql, checksum } of missing) {
      await client.query('begin');
      await client.query(sql);
      await client.query(
        `insert into _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
         values ($1, $2, $3, now(), 1)`,
        [randomUUID(), checksum, name],
      );
      await client.query('commit');
    }
    return { applied: missing.map(({ name }) => name), known: known.map(({ name }) => name) };
  } finally {
    await client.end();
  }
}

/**
 * Refuses a database whose schema is not exactly this build's.
 * @param url any serving role's URL
 * @throws SCHEMA_MISMATCH naming each difference
 */
export async function assertSchema(url: string, folder: string): Promise<void> {
  const known = await readMigrations(folder);
  const client = await openClient({ connectionString: url, connectionTimeoutMillis: 5_000 });
  try {
    const { rows } = await client.query<{ found: string | null }>(
      `select to_regclass('_prisma_migrations')::text as found`,
    );
    const applied = rows[0]?.found == null ? new Map<string, string>() : await appliedOf(client);
    const wrong = schemaDifferences(known, applied);
    if (wrong.length > 0) throw new PlatformError('SCHEMA_MISMATCH', wrong.join('; '));
  } finally {
    await client.end();
  }
}
