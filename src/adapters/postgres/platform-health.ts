import type { PlatformHealth } from '../../domain/events/platform-health.js';
import type { Database } from './database.js';

const waiting = `
  select
    coalesce((select max(extract(epoch from now() - due_at)) from intent
      where tenant_id = $1 and delivered_at is null and due_at <= now()), 0)::float8 as starts,
    coalesce((select max(extract(epoch from now() - created_at)) from wake
      where tenant_id = $1 and delivered_at is null), 0)::float8 as wakes`;

// Ids sort by time, so the newest are a walk along the primary key, however many there are. What is late is found by the
// index over what is not settled, oldest first: an inference that hangs is soon older than the newest ones.
const runs = `
  with newest as (
    select inference_id, settled_at from inference where tenant_id = $1 order by inference_id desc limit 1000),
  late as (
    select deadline_at from inference where tenant_id = $1 and settled_at is null and deadline_at < now()
    order by deadline_at limit 10000)
  select
    (select count(*) from newest n where n.settled_at is not null and not exists (
      select 1 from decision d where d.tenant_id = $1 and d.decision_id = n.inference_id))::int as missing,
    (select count(*) from late)::int as late,
    coalesce((select extract(epoch from now() - min(deadline_at)) from late), 0)::float8 as late_seconds`;

/**
 * How a tenant's starts, wakes and inferences stand (role anneal_worker): of late ones the oldest 10,000, of decision
 * rows those of the newest 1,000.
 */
export const createPlatformHealth = (db: Database) => ({
  readPlatformHealth: (tenant: string): Promise<PlatformHealth> =>
    db.batch(tenant, async (query) => {
      const [due] = await query(waiting, [tenant]);
      const [seen] = await query(runs, [tenant]);
      return {
        startOldestSeconds: Math.max(0, Number(due?.starts ?? 0)),
        wakeOldestSeconds: Math.max(0, Number(due?.wakes ?? 0)),
        unknownEffects: Number(seen?.late ?? 0),
        unknownOldestSeconds: Math.max(0, Number(seen?.late_seconds ?? 0)),
        missingDecisions: Number(seen?.missing ?? 0),
      };
    }),
  /** Name of the segment of WAL that the server writes. @throws while it recovers */
  readCurrentWal: async (): Promise<string> => {
    const [row] = await db.call('select pg_walfile_name(pg_current_wal_lsn()) as name', []);
    return String(row?.name);
  },
});
