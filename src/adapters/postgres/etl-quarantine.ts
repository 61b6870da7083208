import { PlatformError } from '../../domain/errors.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import type { SourceLimits } from '../../domain/etl/contract.js';
import {
  isReleasable,
  quarantineViewSchema,
  type QuarantineVerb,
  type QuarantineView,
} from '../../domain/etl/document-requests.js';
import type { Database, SqlRow, Tx } from './database.js';
import { wakeWatcher } from './etl-collections.js';
import { openKey } from './etl-documents.js';
import type { LedgerParts } from './etl-rows.js';
import { mutate } from './mutate.js';
import type { EtlQuarantineItem } from './generated/client.js';

const itemView = (row: EtlQuarantineItem, key: string): QuarantineView =>
  quarantineViewSchema.parse({
    ...row,
    id: row.itemId,
    documentId: row.docId,
    key,
    revision: row.rev ?? undefined,
    releasable: isReleasable(row.reason),
    decision: row.decision ?? undefined,
    retryAt: row.retryAt?.toISOString(),
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  });

/** Items with the names of their documents. */
async function itemViews(
  tx: Tx,
  cipher: LedgerParts['cipher'],
  rows: readonly EtlQuarantineItem[],
): Promise<QuarantineView[]> {
  const [first] = rows;
  if (first === undefined) return [];
  const documents = await tx.etlDocument.findMany({
    where: { tenantId: first.tenantId, docId: { in: rows.map(({ docId }) => docId) } },
    select: { tenantId: true, docId: true, naturalKeyEnc: true },
  });
  const keys = new Map(
    await Promise.all(
      documents.map(async (one) => [one.docId, await openKey(cipher, one)] as const),
    ),
  );
  return rows.map((row) => itemView(row, keys.get(row.docId) ?? ''));
}

async function viewOf(tx: Tx, cipher: LedgerParts['cipher'], row: EtlQuarantineItem) {
  const [view] = await itemViews(tx, cipher, [row]);
  if (view === undefined) throw new Error('an item has a view');
  return view;
}

const stateAfter = { retry: 'RETRIED', release: 'RELEASED', discard: 'DISCARDED' } as const;

async function lockItem(tx: Tx, tenant: string, itemId: string): Promise<EtlQuarantineItem> {
  await tx.$queryRaw`select 1 from etl_quarantine_item
    where tenant_id = ${tenant} and item_id = ${itemId} for update`;
  const row = await tx.etlQuarantineItem.findUnique({
    where: { tenantId_itemId: { tenantId: tenant, itemId } },
  });
  if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such item.');
  return row;
}

function refuseVerb(row: EtlQuarantineItem, verb: QuarantineVerb): void {
  if (verb === 'release' && !isReleasable(row.reason))
    throw new PlatformError('NOT_RELEASABLE', `A document with ${row.reason} stays closed.`, {
      extensions: { reason: row.reason },
    });
  if (row.state !== 'OPEN')
    throw new PlatformError('ILLEGAL_TRANSITION', `The item is ${row.state}.`, {
      extensions: { from: row.state, to: stateAfter[verb], allowed: [] },
    });
}

/** The change that was stopped: due again, or given up. The claims that failed before count no more. */
async function moveChange(tx: Tx, row: EtlQuarantineItem, verb: QuarantineVerb): Promise<number> {
  const { tenantId, docId } = row;
  if (verb === 'discard')
    return tx.$executeRaw`update etl_change_event set state = 'SUPERSEDED'
      where tenant_id = ${tenantId} and doc_id = ${docId}::uuid and state = 'QUARANTINED'`;
  await tx.$executeRaw`update etl_document set lost_claims = 0, updated_at = now()
    where tenant_id = ${tenantId} and doc_id = ${docId}::uuid`;
  return tx.$executeRaw`update etl_change_event set state = 'PENDING', batch_id = null
    where tenant_id = ${tenantId} and change_id = (select change_id from etl_change_event
      where tenant_id = ${tenantId} and doc_id = ${docId}::uuid and state = 'QUARANTINED' order by seq desc limit 1)`;
}

/** Decides about a quarantined document. @throws NOT_FOUND, NOT_RELEASABLE, ILLEGAL_TRANSITION */
const decideItem =
  (db: Database, cipher: LedgerParts['cipher'], limits?: SourceLimits) =>
  (
    caller: Caller,
    itemId: string,
    asked: { verb: QuarantineVerb; reason: string },
  ): Promise<Outcome<QuarantineView>> =>
    mutate(db, caller, async (tx) => {
      const { tenant, actor } = caller;
      const before = await lockItem(tx, tenant, itemId);
      const { verb, reason } = asked;
      refuseVerb(before, verb);
      const [clock] = await tx.$queryRaw<SqlRow[]>`select now() as now`;
      const at = clock?.now as Date;
      const changes = await moveChange(tx, before, verb);
      const row = await tx.etlQuarantineItem.update({
        where: { tenantId_itemId: { tenantId: tenant, itemId } },
        data: {
          state: stateAfter[verb],
          decision: { verb, by: actor.subject, reason, at: at.toISOString() },
          retryAt: verb === 'discard' ? null : at,
          updatedAt: at,
        },
      });
      const source =
        verb === 'discard' || changes === 0
          ? null
          : await tx.etlSource.findUnique({
              where: { tenantId_sourceId: { tenantId: tenant, sourceId: row.sourceId } },
            });
      return {
        status: 200,
        body: await viewOf(tx, cipher, row),
        wakes: source === null ? [] : [wakeWatcher(source, limits)],
        audit: {
          action: `etl.quarantine-${verb}`,
          resource: { type: 'quarantine-item', id: itemId },
          before: { state: before.state, reason: before.reason },
          after: { state: row.state, changes },
          reason,
        },
      };
    });

/** Quarantined documents as stewards see and decide on them (role anneal_api). */
export const createEtlQuarantineStore = (
  db: Database,
  cipher: LedgerParts['cipher'],
  limits?: SourceLimits,
) => ({
  decideItem: decideItem(db, cipher, limits),
  findItem: (tenant: string, itemId: string): Promise<QuarantineView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.etlQuarantineItem.findUnique({
        where: { tenantId_itemId: { tenantId: tenant, itemId } },
      });
      return row === null ? undefined : viewOf(tx, cipher, row);
    }),
  /** Newest first; one more than `limit` where there are more. */
  listItems: (
    tenant: string,
    filter: {
      collectionId?: string | undefined;
      sourceId?: string | undefined;
      state?: string | undefined;
      reason?: string | undefined;
    },
    page: { limit: number; after: string | undefined },
  ): Promise<QuarantineView[]> =>
    db.withTenant(tenant, async (tx) => {
      const given = Object.entries(filter).filter(([, value]) => value !== undefined);
      const rows = await tx.etlQuarantineItem.findMany({
        where: {
          tenantId: tenant,
          ...Object.fromEntries(given),
          ...(page.after === undefined ? {} : { itemId: { lt: page.after } }),
        },
        orderBy: { itemId: 'desc' },
        take: page.limit + 1,
      });
      return itemViews(tx, cipher, rows);
    }),
});
