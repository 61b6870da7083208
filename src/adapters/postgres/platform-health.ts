import type { PlatformHealth } from '../../domain/events/platform-health.js';
import type { Database } from './database.js';

const waiting = `
  select
    coalesce((select max(extract(epoch from now() - due_at)) from intent
      where tenant_id = $1 and delivered_at is null and due_at <= now()), 0)::float8 as starts,
    coalesce((select max(extract(epoch from now() - created_at)) from wake
      where tenant_id = $1 and delivered_at is null), 0)::float8 as wakes`;

// Ids sort by time, so the newest are a walk along the primary key, however many there are.
const newest = `
  with newest as (
    select inference_id, settled_at, deadline_at from inference where tenant_id = $1
    order by inference_id desc limit 1000)
  select
    (select count(*) from newest n where n.settled_at is not null and not exists (
      select 1 from decision d where d.tenant_id = $1 and d.decision_id = n.inference_id))::int as missing,
    count(*) filter (where settled_at is null and deadline_at < now())::int as late,
    coalesce(max(extract(epoch from now() - deadline_at))
      filter (where settled_at is null and deadline_at < now()), 0)::float8 as late_seconds
  from newest`;

/** How a tenant's starts, wakes and newest 1,000 inferences stand (role anneal_worker). */
export const createPlatformHealth = (db: Database) => ({
  readPlatformHealth: (tenant: string): Promise<PlatformHealth> =>
    db.batch(tenant, async (query) => {
      const [due] = await query(waiting, [tenant]);
      const [runs] = await query(newest, [tenant]);
      return {
        startOldestSeconds: Math.max(0, Number(due?.starts ?? 0)),
        wakeOldestSeconds: Math.max(0, Number(due?.wakes ?? 0)),
        unknownEffects: Number(runs?.late ?? 0),
        unknownOldestSeconds: Math.max(0, Number(runs?.late_seconds ?? 0)),
        missingDecisions: Number(runs?.missing ?? 0),
      };
    }),
});
