import { reconcileGenerationStart } from '../../domain/etl/contract.js';
import type { Ledger } from '../../domain/etl/ledger.js';
import type { Database, SqlRow } from './database.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';

const committed = `
  select m.doc_id, array(select r from unnest(m.row_ids) r where r <> all (coalesce(m.unindexed_row_ids, '{}'))) as row_ids
  from unnest($3::uuid[], $4::int[]) as i(doc_id, rev)
  join etl_manifest m on m.tenant_id = $1 and m.generation_id = $2 and m.doc_id = i.doc_id and m.rev = i.rev
  where not exists (select from etl_intent o where o.tenant_id = $1 and o.doc_id = i.doc_id and o.generation_id = $2
    and o.state = 'OPEN')`;

/** W5: what a committed document has to be in a store, and what is done where it is not. */
export const createEtlCommitChecks = ({
  db,
}: {
  db: Database;
}): Pick<Ledger, 'committedRows' | 'startReconcile'> => ({
  committedRows: (tenant, generationId, documents) =>
    db.batch(tenant, async (query) => {
      const ids = documents.map(({ docId }) => docId);
      const revs = documents.map(({ rev }) => rev);
      const rows = await query(committed, [tenant, generationId, ids, revs]);
      return rows.map((row) => ({ docId: String(row.doc_id), rowIds: row.row_ids as string[] }));
    }),
  startReconcile: async (caller, generationId) => {
    await mutate(db, caller, async (tx) => {
      const { tenant, actor } = caller;
      // The generation, alone: two that find something at once start one reconcile.
      await tx.$queryRaw<SqlRow[]>`select 1 from etl_generation
        where tenant_id = ${tenant} and generation_id = ${generationId} for update`;
      const running = await tx.etlReconcile.findFirst({
        where: { tenantId: tenant, generationId, state: 'RUNNING' },
      });
      if (running !== null) return { status: 200, body: {}, audit: [] };
      const reconcileId = newId('reconcile');
      await tx.etlReconcile.create({
        data: {
          ...{ tenantId: tenant, reconcileId, generationId },
          ...{ state: 'RUNNING', requestedBy: actor.subject },
        },
      });
      return {
        status: 202,
        body: {},
        starts: [reconcileGenerationStart({ tenant, reconcileId, generationId }, 'relay')],
        audit: {
          action: 'etl.reconcile-requested',
          resource: { type: 'generation', id: generationId },
          after: { reconcileId, reason: 'a sampled commit differs from its manifest' },
        },
      };
    });
  },
});
