import { SYSTEM_TENANT } from '../../domain/access/contract.js';
import type { LostEntries } from '../../domain/backup/contract.js';
import { canonicalJson } from '../../domain/digest.js';
import { newId } from './new-id.js';
import { openClient } from './open-client.js';

/** A restore as the database itself keeps it. */
interface RestoreFacts {
  backupId: string;
  /** The end of the base backup: nothing older came back alone. */
  stoppedAt: string;
  lost: LostEntries[];
}

/**
 * Gives out a thousand of epochs that no restore has had, and remembers it before it resolves.
 * @param newest the newest thousand that the database knows
 */
type ReserveThousand = (newest: number) => Promise<number>;

/** What the database says after a restore. */
interface RestoreRecorded {
  restorationId: string;
  /** UTC, ISO 8601. */
  recoveredTo: string;
  /** How far WAL was replayed, such as `0/3000028`. */
  replayedTo: string;
  /** Pointers whose epoch was raised. */
  epochs: number;
}

/**
 * The newest thousand in use. Epochs of every kind go on at one that is past it and past each that another restore, even of
 * this very backup, went on at: none that the lost time, or a life after an earlier restore, has given out is given out again.
 */
const newestThousand = `
  select greatest(
    (select max(greatest(epoch, min_epoch)) from routing), (select max(epoch) from etl_shard),
    (select max(generation_epoch) from etl_collection), (select max(epoch) from dataset), 0) / 1000 as n`;

const raised = '$2::int * 1000';

const raise = `
  with moved as (
    update routing set epoch = ${raised}, min_epoch = ${raised}, updated_at = clock_timestamp() returning *),
  written as (
    insert into routing_history (tenant_id, env, kind, name, epoch, document, actor, reason, release_id, at)
    select tenant_id, env, kind, name, epoch,
      jsonb_build_object('active', active, 'previous', previous, 'arms', arms, 'shadow', shadow, 'kill', kill,
        'minEpoch', min_epoch, 'move', 'recover'), 'system', $1::text, release_id, clock_timestamp()
    from moved returning 1),
  shards as (update etl_shard set epoch = ${raised}, lease_until = null returning 1),
  collections as (
    update etl_collection set generation_epoch = ${raised} returning 1),
  datasets as (update dataset set epoch = ${raised} returning 1)
  select (select count(*) from written)::int + (select count(*) from shards)::int
    + (select count(*) from collections)::int + (select count(*) from datasets)::int as n`;

/**
 * Raises every epoch, writes what was lost into every chain, and opens the restoration that the reconciler closes: one
 * transaction. Leases of the lost time are over.
 * @param databaseUrl URL of a superuser, past every policy
 */
export async function recordRestore(
  databaseUrl: string,
  facts: RestoreFacts,
  reserveThousand: ReserveThousand,
): Promise<RestoreRecorded> {
  const client = await openClient({
    connectionString: databaseUrl,
    connectionTimeoutMillis: 5_000,
  });
  try {
    // The server keeps it until it is started again; where no transaction was replayed the backup's end stands.
    const { rows: replayed } = await client.query<{ at: Date | null; lsn: string | null }>(
      'select pg_last_xact_replay_timestamp() as at, pg_last_wal_replay_lsn()::text as lsn',
    );
    const recoveredTo = replayed[0]?.at?.toISOString() ?? facts.stoppedAt;
    const restorationId = newId('restoration');
    const { rows: newest } = await client.query<{ n: string }>(newestThousand);
    const thousand = await reserveThousand(Number(newest[0]?.n ?? 0));
    await client.query('begin');
    const { rows } = await client.query<{ n: number }>(raise, [
      `restored from ${facts.backupId} to ${recoveredTo}`,
      thousand,
    ]);
    await client.query('delete from serving_lease');
    await client.query(
      `insert into restoration (tenant_id, restoration_id, backup_id, recovered_to, restored_at, report)
       values ($1, $2, $3, $4, now(), $5)`,
      [SYSTEM_TENANT, restorationId, facts.backupId, recoveredTo, JSON.stringify(facts)],
    );
    const { rows: heads } = await client.query<{ tenant_id: string }>(
      'select tenant_id from audit_head order by tenant_id',
    );
    for (const { tenant_id: tenant } of heads) {
      const lost = facts.lost.find((each) => each.tenant === tenant);
      const entry = canonicalJson({
        action: 'installation.restored',
        actor: { subject: 'system', kind: 'system', roles: [], via: 'restore' },
        resource: { type: 'backup', id: facts.backupId },
        after: {
          restorationId,
          recoveredTo,
          lost: lost === undefined ? null : { from: lost.from, to: lost.to },
        },
      });
      await client.query(`select set_config('app.tenant', $1, true)`, [tenant]);
      await client.query('select audit_append($1)', [entry]);
    }
    await client.query('commit');
    const replayedTo = replayed[0]?.lsn ?? '0/0';
    return { restorationId, recoveredTo, replayedTo, epochs: Number(rows[0]?.n ?? 0) };
  } finally {
    await client.end();
  }
}
