import type { Ledger } from '../../domain/etl/ledger.js';
import type { LedgerParts } from './etl-rows.js';

const due = `
  select count(*) filter (where e.state = 'PENDING' or d.claim_until < now())::int as pending,
    count(*) filter (where e.state = 'CLAIMED' and coalesce(d.claim_until >= now(), true))::int as claimed,
    coalesce(extract(epoch from now() - min(e.received_at)) * 1000, 0)::bigint as oldest
  from etl_change_event e left join etl_document d
    on e.state = 'CLAIMED' and d.tenant_id = $1 and d.doc_id = e.doc_id and d.claim_batch = e.batch_id
  where e.tenant_id = $1 and e.source_id = $2 and e.state in ('PENDING', 'CLAIMED')`;

/** What a source still has to apply. */
export const createEtlBacklog = ({ db }: Pick<LedgerParts, 'db'>): Pick<Ledger, 'backlog'> => ({
  backlog: (tenant, sourceId) =>
    db.batch(tenant, async (query) => {
      // First the flag, under the lock that recording holds; then the count, which sees all that was recorded before.
      await query(
        `update etl_source set wake_pending = false where tenant_id = $1 and source_id = $2`,
        [tenant, sourceId],
      );
      const [row] = await query(due, [tenant, sourceId]);
      return {
        pending: Number(row?.pending ?? 0),
        claimed: Number(row?.claimed ?? 0),
        oldestMs: Math.max(0, Number(row?.oldest ?? 0)),
      };
    }),
});
