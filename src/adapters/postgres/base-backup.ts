import { readMigrations } from './migrate.js';
import { digestOf } from '../../domain/digest.js';
import { openClient } from './open-client.js';

/** Where a base backup began, and what ends it. */
export interface BaseBackup {
  /** The data folder of the server. */
  dataDir: string;
  version: string;
  startLsn: string;
  /** Ends it: what has to be written beside the copied files, and which WAL a restore of them needs. */
  stop: () => Promise<BaseBackupEnd>;
  close: () => Promise<void>;
}

/** What a base backup came to. */
interface BaseBackupEnd {
  stopLsn: string;
  stoppedAt: string;
  /** The file `backup_label`. */
  label: string;
  firstWal: string;
  lastWal: string;
  /** All segments from the first to the last. */
  walFiles: string[];
}

/** Folders of the cluster whose content is of a running server alone, and the WAL, which is copied at the end. */
const emptied =
  /^(?:pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)\/./;
const left =
  /^(?:anneal_wal(?:_in)?|postmaster\.(?:pid|opts)|backup_label(?:\.old)?|tablespace_map|backup_manifest|recovery\.signal|standby\.signal|current_logfiles)$|(?:^|\/)(?:pgsql_tmp[^/]*|pg_internal\.init[^/]*|t\d+_.*)$/;

/** True for what a base backup leaves out, by its path in the data folder (as `pg_basebackup` does). */
export const isLeftOut = (path: string): boolean => emptied.test(path) || left.test(path);

/**
 * Begins a base backup of a running server: a checkpoint now, and its WAL is kept until the session ends.
 * @param adminUrl URL of a superuser
 */
export async function beginBaseBackup(adminUrl: string, label: string): Promise<BaseBackup> {
  const client = await openClient({
    connectionString: adminUrl,
    connectionTimeoutMillis: 5_000,
    application_name: 'anneal-backup',
  });
  const one = async (sql: string, values: unknown[] = []): Promise<Record<string, unknown>> => {
    const { rows } = await client.query<Record<string, unknown>>(sql, values);
    return rows[0] ?? {};
  };
  try {
    const server = await one(
      `select current_setting('data_directory') as dir, current_setting('server_version') as version,
         (select count(*) from pg_tablespace where spcname not in ('pg_default', 'pg_global'))::int as spaces`,
    );
    if (Number(server['spaces']) > 0) throw new Error('tablespaces are not backed up');
    await one('select pg_create_physical_replication_slot($1, true, true)', [
      `anneal_backup_${label.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`,
    ]);
    const begun = await one('select pg_backup_start($1, true)::text as lsn', [label]);
    const startLsn = String(begun['lsn']);
    const stop = async (): Promise<BaseBackupEnd> => {
      const end = await one('select lsn::text, labelfile from pg_backup_stop(false)');
      const stopLsn = String(end['lsn']);
      const wal = await one(
        `select pg_walfile_name($1::pg_lsn) as first, pg_walfile_name($2::pg_lsn) as last, clock_timestamp() as at`,
        [startLsn, stopLsn],
      );
      // The segment of the end is whole from here on, and goes to the archive where there is one.
      await one('select pg_switch_wal()');
      const [firstWal, lastWal] = [String(wal['first']), String(wal['last'])];
      const { rows } = await client.query<{ name: string }>(
        `select name from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$' and name between $1 and $2 order by name`,
        [firstWal, lastWal],
      );
      return {
        stopLsn,
        stoppedAt: (wal['at'] as Date).toISOString(),
        label: String(end['labelfile']),
        firstWal,
        lastWal,
        walFiles: rows.map(({ name }) => name),
      };
    };
    return {
      dataDir: String(server['dir']),
      version: String(server['version']),
      startLsn,
      stop,
      close: () => client.end(),
    };
  } catch (error) {
    await client.end();
    throw error;
  }
}

/** What the backup of a database says about its schema and its audit chains. */
export async function describeDatabase(databaseUrl: string) {
  const client = await openClient({
    connectionString: databaseUrl,
    connectionTimeoutMillis: 5_000,
  });
  try {
    const { rows: migrations } = await client.query<{ name: string; checksum: string }>(
      `select migration_name as name, checksum from _prisma_migrations
       where finished_at is not null and rolled_back_at is null order by migration_name`,
    );
    const { rows: heads } = await client.query<{ tenant_id: string; seq: string; hash: Buffer }>(
      'select tenant_id, seq, hash from audit_head order by tenant_id',
    );
    return {
      schema: {
        version: migrations.at(-1)?.name ?? '',
        count: migrations.length,
        digest: digestOf('anneal.schema.v1', migrations),
      },
      audit: heads.map(({ tenant_id: tenant, seq, hash }) => ({
        tenant,
        size: Number(seq),
        headHash: hash.toString('hex'),
      })),
    };
  } finally {
    await client.end();
  }
}

/** Names of this build's migrations, in order. */
export const migrationNames = async (folder: string): Promise<string[]> =>
  (await readMigrations(folder)).map(({ name }) => name);
