import { PlatformError } from '../../domain/errors.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import type { DeleteMode } from '../../domain/etl/collection-view.js';
import { etlWorkflowId, type SourceLimits } from '../../domain/etl/contract.js';
import type { Database, SqlRow, Tx } from './database.js';
import { wakeWatcher } from './etl-collections.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import type { EtlSource } from './generated/client.js';

/** The source, locked until the transaction ends. One that is going is not there any more. @throws NOT_FOUND */
export async function lockSource(tx: Tx, tenant: string, sourceId: string): Promise<EtlSource> {
  await tx.$queryRaw`select 1 from etl_source
    where tenant_id = ${tenant} and source_id = ${sourceId} for update`;
  const row = await tx.etlSource.findUnique({
    where: { tenantId_sourceId: { tenantId: tenant, sourceId } },
  });
  if (row === null || row.state === 'DELETED')
    throw new PlatformError('NOT_FOUND', 'There is no such source.');
  return row;
}

/** Documents whose deletion one transaction records. */
const PAGE_DOCUMENTS = 2_000;

const findRemaining = `
  select key_hash, doc_id::text from etl_document
  where tenant_id = $1 and source_id = $2 and key_hash > $3 and deleted_at is null order by key_hash limit $4`;

/** A deletion of each that has none waiting, last in its order. The ids share the time of one. */
const insertDeletions = `
  insert into etl_change_event (tenant_id, change_id, source_id, doc_id, key_hash, kind, source_version, seq, priority, state)
  select $1, left($3, -16) || upper(left(md5(gen_random_uuid()::text), 16)), $2, d.doc_id, d.key_hash, 'delete',
    'source deleted', greatest(s.next_seq, d.seq + 1, coalesce(n.last_seq, 0) + 1), 2, 'PENDING'
  from etl_source s
  join etl_document d on d.tenant_id = $1 and d.source_id = $2 and d.doc_id = any ($4::uuid[]) and d.deleted_at is null
  left join (
    select doc_id, max(seq) as last_seq from etl_change_event
    where tenant_id = $1 and doc_id = any ($4::uuid[]) and kind <> 'acl' and state <> 'SUPERSEDED' group by doc_id) n
    on n.doc_id = d.doc_id
  where s.tenant_id = $1 and s.source_id = $2
  on conflict do nothing`;

/** What a pull source has not read yet it will not read any more; of a document that never was in, nothing stays. */
const dropUnread = `
  with dropped as (
    update etl_change_event set state = 'SUPERSEDED'
    where tenant_id = $1 and source_id = $2 and state = 'PENDING' and kind = 'upsert' and content_ref is null
    returning doc_id)
  update etl_document d set deleted_at = now(), updated_at = now() from (select distinct doc_id from dropped) n
  where d.tenant_id = $1 and d.doc_id = n.doc_id and d.live_rev is null and d.claim_batch is null and d.deleted_at is null`;

/** Scans that wait for a decision, told that there is nothing left to decide. */
async function wakeScans(tx: Tx, tenant: string, sourceId: string) {
  const scans = await tx.etlScan.findMany({
    where: { tenantId: tenant, sourceId, state: 'WAITING' },
    select: { scanId: true },
  });
  return scans.map(({ scanId }) => ({
    workflowId: etlWorkflowId(tenant, scanId),
    factId: newId('event'),
  }));
}

/**
 * Ends a source. With `delete_documents` its documents are hidden by this very transaction (W4), however many they are,
 * because every reader asks for the source; the watcher records their deletions, page by page. With `keep` they stay as
 * they are. What is recorded is applied, then the source is DELETED.
 */
export const deleteSource =
  (db: Database, limits?: SourceLimits) =>
  (
    caller: Caller,
    sourceId: string,
    mode: DeleteMode,
  ): Promise<Outcome<{ id: string; workflowId: string; status: string }>> =>
    mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const before = await lockSource(tx, tenant, sourceId);
      const wake = wakeWatcher(before, limits);
      const body = { id: sourceId, workflowId: wake.workflowId, status: 'DELETING' };
      if (before.state === 'DELETING' && before.deleteMode === mode)
        return { status: 202, body, audit: [] };
      if (before.state === 'DELETING')
        throw new PlatformError('ILLEGAL_TRANSITION', 'The source is being deleted otherwise.', {
          extensions: { from: before.deleteMode, to: mode, allowed: [] },
        });
      await tx.etlSource.update({
        where: { tenantId_sourceId: { tenantId: tenant, sourceId } },
        data: {
          ...{ state: 'DELETING', deleteMode: mode, stateReason: null },
          ...{ wakePending: true, updatedAt: new Date() },
        },
      });
      if (mode === 'keep') await tx.$executeRawUnsafe(dropUnread, tenant, sourceId);
      return {
        status: 202,
        body,
        wakes: [wake, ...(await wakeScans(tx, tenant, sourceId))],
        events: [
          {
            type: 'anneal.etl.source_deleting.v1',
            subject: `sources/${sourceId}`,
            data: { sourceId, mode },
          },
        ],
        audit: {
          action: 'etl.source-deleting',
          resource: { type: 'source', id: sourceId },
          before: { state: before.state },
          after: { state: 'DELETING', mode },
        },
      };
    });

/**
 * Records the deletion of some documents of a source that goes, in one transaction; which ones are left, their rows say, so
 * that a crash between two pages loses nothing (role anneal_worker).
 * @param after key hash that the page begins after
 * @returns the key hash that the next page begins after; undefined: this was the last one
 */
export const createSourceDeletions =
  (db: Database) =>
  async (caller: Caller, sourceId: string, after: string): Promise<string | undefined> => {
    const outcome = await mutate<string | undefined>(db, caller, async (tx) => {
      const { tenant } = caller;
      const [source] = await tx.$queryRaw<SqlRow[]>`
        select 1 from etl_source where tenant_id = ${tenant} and source_id = ${sourceId} and state = 'DELETING'
          and delete_mode = 'delete_documents' for update`;
      if (source === undefined) return { status: 200, body: undefined, audit: [] };
      const values = [tenant, sourceId, after, PAGE_DOCUMENTS];
      const rows = await tx.$queryRawUnsafe<SqlRow[]>(findRemaining, ...values);
      if (rows.length === 0) return { status: 200, body: undefined, audit: [] };
      const docIds = rows.map((row) => String(row.doc_id));
      await tx.$queryRawUnsafe(
        `select 1 from etl_document where tenant_id = $1 and doc_id = any ($2::uuid[]) order by doc_id for update`,
        ...[tenant, docIds],
      );
      await tx.$executeRawUnsafe('set local enable_nestloop = off');
      await tx.$executeRawUnsafe(insertDeletions, tenant, sourceId, newId('change'), docIds);
      await tx.$executeRawUnsafe(
        `update etl_document set deleted_at = coalesce(deleted_at, now()), updated_at = now()
         where tenant_id = $1 and doc_id = any ($2::uuid[])`,
        ...[tenant, docIds],
      );
      await tx.$executeRawUnsafe('set local enable_nestloop = on');
      return {
        status: 200,
        body: rows.length < PAGE_DOCUMENTS ? undefined : String(rows.at(-1)?.key_hash),
        audit: {
          action: 'etl.changes-recorded',
          resource: { type: 'source', id: sourceId },
          after: { deletes: rows.length },
        },
      };
    });
    return outcome.body;
  };

/** DELETING → DELETED under the lock that recording takes, where nothing is left to apply (role anneal_worker). */
export const createSourceEnds =
  (db: Database) =>
  async (caller: Caller, sourceId: string): Promise<boolean> => {
    const outcome = await mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const [source] = await tx.$queryRaw<SqlRow[]>`
        select collection_id, delete_mode from etl_source
        where tenant_id = ${tenant} and source_id = ${sourceId} and state = 'DELETING' for update`;
      // A statement of its own: it sees what was recorded while this one waited for the lock.
      const [row] = await tx.$queryRaw<SqlRow[]>`
        select exists (select from etl_change_event where tenant_id = ${tenant} and source_id = ${sourceId}
            and state = 'PENDING')
          or exists (select from etl_change_event where tenant_id = ${tenant} and source_id = ${sourceId}
            and state = 'CLAIMED')
          or ${source?.delete_mode === 'delete_documents'} and exists (select from etl_document
            where tenant_id = ${tenant} and source_id = ${sourceId} and deleted_at is null) as busy`;
      if (source === undefined || row?.busy !== false)
        return { status: 200, body: { ended: false }, audit: [] };
      await tx.$executeRaw`update etl_source set state = 'DELETED', updated_at = now()
        where tenant_id = ${tenant} and source_id = ${sourceId}`;
      const { collection_id: collectionId, delete_mode: mode } = source;
      const data = { sourceId, collectionId, mode };
      return {
        status: 200,
        body: { ended: true },
        events: [{ type: 'anneal.etl.source_deleted.v1', subject: `sources/${sourceId}`, data }],
        audit: {
          action: 'etl.source-deleted',
          resource: { type: 'source', id: sourceId },
          before: { state: 'DELETING' },
          after: { state: 'DELETED', mode },
        },
      };
    });
    return outcome.body.ended;
  };
