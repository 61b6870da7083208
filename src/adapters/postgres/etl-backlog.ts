import type { ChangePriority, Ledger } from '../../domain/etl/ledger.js';
import { bounded, type LedgerParts } from './etl-rows.js';

/** Changes that are counted, at most: nobody starts more batches than that at once. */
const COUNTED = 100_000;

/** A change of a document that somebody holds is not due: batches that cannot claim it would follow each other at once. */
const due = `
  select greatest(0, claims.lapsed + waiting.count - behind.count) as pending,
    claims.held + behind.count as held, claims.holders,
    coalesce(extract(epoch from now() - etl_oldest_change($1, $2)) * 1000, 0)::bigint as oldest,
    (select priority from etl_change_event where tenant_id = $1 and source_id = $2 and state = 'PENDING'
      order by priority, seq limit 1) as urgency
  from (select count(*) filter (where lapsed)::int as lapsed, count(*) filter (where not lapsed)::int as held,
      coalesce(array_agg(distinct e.batch_id) filter (where not lapsed), '{}') as holders
    from etl_change_event e left join etl_document d on d.tenant_id = $1 and d.doc_id = e.doc_id and d.claim_batch is not null
      cross join lateral (select coalesce(d.claim_batch = e.batch_id and d.claim_until < now(), false) as lapsed) l
    where e.tenant_id = $1 and e.source_id = $2 and e.state = 'CLAIMED') claims,
    (select count(*)::int from (select from etl_change_event
      where tenant_id = $1 and source_id = $2 and state = 'PENDING' limit ${COUNTED}) w) waiting,
    (select count(*)::int from etl_document d join etl_change_event e
      on e.tenant_id = $1 and e.doc_id = d.doc_id and e.source_id = $2 and e.state = 'PENDING'
      where d.tenant_id = $1 and d.source_id = $2 and d.claim_batch is not null and d.claim_until >= now()) behind`;

/** What a source still has to apply. */
export const createEtlBacklog = ({ db }: Pick<LedgerParts, 'db'>): Pick<Ledger, 'backlog'> => ({
  backlog: (tenant, sourceId) =>
    db.batch(tenant, async (query) => {
      // First the flag, under the lock that recording holds; then the count, which sees all that was recorded before. A
      // recording that is still under way sets it anew, and wakes.
      await query(
        `update etl_source set wake_pending = false where tenant_id = $1 and source_id = $2 and wake_pending`,
        [tenant, sourceId],
      );
      const [row] = await bounded(query, due, [tenant, sourceId]);
      return {
        pending: Number(row?.pending ?? 0),
        held: Number(row?.held ?? 0),
        holders: (row?.holders ?? []) as string[],
        oldestMs: Math.max(0, Number(row?.oldest ?? 0)),
        urgency: (row?.urgency ?? undefined) as ChangePriority | undefined,
      };
    }),
});
