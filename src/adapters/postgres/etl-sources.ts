import { PlatformError } from '../../domain/errors.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import { etlWorkflowId, watchSourceStart, type SourceLimits } from '../../domain/etl/contract.js';
import {
  isPullKind,
  sourceViewSchema,
  type CreateSource,
  type SourceView,
} from '../../domain/etl/collection-view.js';
import { MINUTE_MS } from '../../domain/units.js';
import type { Database, SqlRow, Tx } from './database.js';
import { insertScan, lockCollection, wakeWatcher } from './etl-collections.js';
import { deleteSource, lockSource } from './etl-source-ends.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import type { EtlSource, Prisma } from './generated/client.js';

const json = (value: unknown): Prisma.InputJsonValue => value as Prisma.InputJsonValue;

// What waits and what is claimed are two partial indexes: asked for apart, neither reads what is done.
/** What is due, how long the last day's changes took, and what a source holds: one statement for a page of sources. */
const figures = `
  select s.source_id, w.pending, w.claimed, w.oldest_ms, l.p50, l.p95, l.p99, l.changes,
    (select count(*)::int from etl_document d where d.tenant_id = s.tenant_id and d.source_id = s.source_id
       and d.deleted_at is null) as documents,
    (select count(*)::int from etl_quarantine_item q where q.tenant_id = s.tenant_id and q.source_id = s.source_id
       and q.state = 'OPEN') as quarantined,
    (select max(n.scan_id) from etl_scan n where n.tenant_id = s.tenant_id and n.source_id = s.source_id
       and n.state in ('RUNNING', 'WAITING')) as scan_id
  from etl_source s
  cross join lateral (
    select (select count(*)::int from etl_change_event e where e.tenant_id = s.tenant_id and e.source_id = s.source_id
        and e.state = 'PENDING') as pending,
      (select count(*)::int from etl_change_event e where e.tenant_id = s.tenant_id and e.source_id = s.source_id
        and e.state = 'CLAIMED') as claimed,
      coalesce(extract(epoch from now() - etl_oldest_change(s.tenant_id, s.source_id)) * 1000, 0)::bigint as oldest_ms) w
  cross join lateral (
    select count(*)::int as changes, percentile_disc(0.5) within group (order by ms) as p50,
      percentile_disc(0.95) within group (order by ms) as p95, percentile_disc(0.99) within group (order by ms) as p99
    from (select extract(epoch from e.applied_at - e.received_at) * 1000 as ms from etl_change_event e
      where e.tenant_id = s.tenant_id and e.source_id = s.source_id and e.state = 'APPLIED'
        and e.applied_at > now() - interval '1 day') applied) l
  where s.tenant_id = $1 and s.source_id = any($2)`;

const whole = (value: unknown): number => Math.max(0, Math.round(Number(value ?? 0)));

async function sourceViews(
  tx: Tx,
  tenant: string,
  rows: readonly EtlSource[],
): Promise<SourceView[]> {
  const ids = rows.map((row) => row.sourceId);
  const found = await tx.$queryRawUnsafe<SqlRow[]>(figures, tenant, ids);
  return rows.map((row) => {
    const figure = found.find((one) => one.source_id === row.sourceId) ?? {};
    return sourceViewSchema.parse({
      ...row,
      id: row.sourceId,
      connectionId: row.connectionId ?? undefined,
      stateReason: row.stateReason ?? undefined,
      everyMs: row.scheduleMs ?? undefined,
      workflowId: etlWorkflowId(tenant, row.sourceId),
      backlog: {
        pending: whole(figure.pending),
        claimed: whole(figure.claimed),
        oldestUnappliedMs: whole(figure.oldest_ms),
      },
      lag: {
        p50Ms: whole(figure.p50),
        p95Ms: whole(figure.p95),
        p99Ms: whole(figure.p99),
        changes: whole(figure.changes),
      },
      documents: whole(figure.documents),
      quarantined: whole(figure.quarantined),
      runningScanId: figure.scan_id ?? undefined,
      lastCompleteScanAt: row.lastCompleteScanAt?.toISOString(),
      createdAt: row.createdAt.toISOString(),
      updatedAt: row.updatedAt.toISOString(),
    });
  });
}

async function viewOf(tx: Tx, row: EtlSource): Promise<SourceView> {
  const [view] = await sourceViews(tx, row.tenantId, [row]);
  if (view === undefined) throw new PlatformError('NOT_FOUND', 'There is no such source.');
  return view;
}

/** How often a source is scanned by itself, in milliseconds; null: never. */
function everyMsOf(input: CreateSource): number | null {
  if (!isPullKind(input.kind) || input.schedule === null) return null;
  return input.schedule?.everyMs ?? MINUTE_MS;
}

async function refuseSource(tx: Tx, caller: Caller, input: CreateSource): Promise<void> {
  const { tenant } = caller;
  const collection = await lockCollection(tx, tenant, input.collectionId);
  if (input.acl.length === 0 && collection.aclDefault.length === 0)
    throw new PlatformError('ACL_REQUIRED', 'Neither source nor collection says who may read.', {
      errors: [{ pointer: '/acl', code: 'ACL_REQUIRED' }],
    });
  const twin = await tx.etlSource.findFirst({
    where: {
      tenantId: tenant,
      collectionId: input.collectionId,
      name: input.name,
      state: { not: 'DELETED' },
    },
  });
  if (twin !== null)
    throw new PlatformError('ALREADY_EXISTS', 'The collection has a source of this name.', {
      errors: [{ pointer: '/name', code: 'ALREADY_EXISTS' }],
    });
}

/** Writes a source and starts its watcher; a pull source is scanned at once. */
const createSource =
  (db: Database, limits?: SourceLimits) =>
  (caller: Caller, input: CreateSource): Promise<Outcome<SourceView>> =>
    mutate(db, caller, async (tx) => {
      const { tenant, actor } = caller;
      await refuseSource(tx, caller, input);
      const { collectionId, name, kind, config, acl, erasureMode, deleteGuardBp } = input;
      const sourceId = newId('source');
      const row = await tx.etlSource.create({
        data: {
          tenantId: tenant,
          sourceId,
          collectionId,
          name,
          kind,
          config: json(config),
          connectionId: input.connectionId ?? null,
          acl,
          state: 'ACTIVE',
          scheduleMs: everyMsOf(input),
          deleteGuardBp,
          retainRaw: input.retainRaw ?? !isPullKind(kind),
          erasureMode,
          createdBy: actor.subject,
        },
      });
      const scan = isPullKind(kind)
        ? await insertScan(tx, caller, { source: row, limits })
        : undefined;
      const watch = {
        ...watchSourceStart({ tenant, sourceId, name }, limits?.watch),
        startedBy: 'api' as const,
      };
      return {
        status: 201,
        body: await viewOf(tx, row),
        starts: [watch, ...(scan === undefined ? [] : [scan.start])],
        events: [
          {
            type: 'anneal.etl.source_created.v1',
            subject: `sources/${sourceId}`,
            data: { sourceId, collectionId, kind },
          },
        ],
        audit: {
          action: 'etl.source-created',
          resource: { type: 'source', id: sourceId },
          after: { collectionId, name, kind, config, acl, erasureMode, retainRaw: row.retainRaw },
        },
      };
    });

/**
 * Moves a source between working and paused, and makes its watcher look. A pull source that is resumed is scanned at once: it
 * may have changed meanwhile, and so may what its collection does with it. @throws NOT_FOUND, ILLEGAL_TRANSITION */
const moveSource =
  (db: Database, limits?: SourceLimits) =>
  (
    caller: Caller,
    sourceId: string,
    asked: { to: 'ACTIVE' | 'PAUSED'; reason: string },
  ): Promise<Outcome<SourceView>> =>
    mutate(db, caller, async (tx) => {
      const before = await lockSource(tx, caller.tenant, sourceId);
      const { to, reason } = asked;
      if (before.state === 'DELETING')
        throw new PlatformError('ILLEGAL_TRANSITION', 'The source is being deleted.', {
          extensions: { from: before.state, to, allowed: [] },
        });
      const row = await tx.etlSource.update({
        where: { tenantId_sourceId: { tenantId: caller.tenant, sourceId } },
        data: { state: to, stateReason: to === 'PAUSED' ? reason : null, updatedAt: new Date() },
      });
      const isResumed = to === 'ACTIVE' && before.state !== 'ACTIVE';
      const scan =
        isResumed && isPullKind(row.kind)
          ? await insertScan(tx, caller, { source: row, limits })
          : undefined;
      return {
        status: 200,
        body: await viewOf(tx, row),
        starts: scan === undefined ? [] : [scan.start],
        wakes: [wakeWatcher(row, limits)],
        audit: {
          action: to === 'PAUSED' ? 'etl.source-paused' : 'etl.source-resumed',
          resource: { type: 'source', id: sourceId },
          before: { state: before.state },
          after: { state: to },
          reason,
        },
      };
    });

/**
 * ACTIVE → PAUSED with the code of what has to be changed before the source can go on; a source in another state stays as
 * it is. Its changes wait in Postgres (role anneal_worker).
 */
export const createSourcePauses =
  (db: Database) =>
  async (caller: Caller, sourceId: string, code: string): Promise<void> => {
    await mutate(db, caller, async (tx) => {
      const [row] = await tx.$queryRaw<SqlRow[]>`
        update etl_source set state = 'PAUSED', state_reason = ${code}, updated_at = now()
        where tenant_id = ${caller.tenant} and source_id = ${sourceId} and state = 'ACTIVE' returning collection_id`;
      if (row === undefined) return { status: 200, body: undefined, audit: [] };
      const data = { sourceId, collectionId: row.collection_id, code };
      return {
        status: 200,
        body: undefined,
        events: [{ type: 'anneal.etl.source_paused.v1', subject: `sources/${sourceId}`, data }],
        audit: {
          action: 'etl.source-paused',
          resource: { type: 'source', id: sourceId },
          before: { state: 'ACTIVE' },
          after: { state: 'PAUSED' },
          reason: code,
        },
      };
    });
  };

/** Sources as the API writes and reads them (role anneal_api). */
export const createEtlSourceStore = (db: Database, limits?: SourceLimits) => ({
  createSource: createSource(db, limits),
  moveSource: moveSource(db, limits),
  deleteSource: deleteSource(db, limits),
  findSource: (tenant: string, sourceId: string): Promise<SourceView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.etlSource.findUnique({
        where: { tenantId_sourceId: { tenantId: tenant, sourceId } },
      });
      return row === null ? undefined : viewOf(tx, row);
    }),
  /** Newest first; one more than `limit` where there are more. */
  listSources: (
    tenant: string,
    filter: { collectionId?: string | undefined; state?: string | undefined },
    page: { limit: number; after: string | undefined },
  ): Promise<SourceView[]> =>
    db.withTenant(tenant, async (tx) => {
      const { collectionId, state } = filter;
      const rows = await tx.etlSource.findMany({
        where: {
          tenantId: tenant,
          ...(collectionId === undefined ? {} : { collectionId }),
          ...(state === undefined ? {} : { state }),
          ...(page.after === undefined ? {} : { sourceId: { lt: page.after } }),
        },
        orderBy: { sourceId: 'desc' },
        take: page.limit + 1,
      });
      return sourceViews(tx, tenant, rows);
    }),
  /** The tenant of a webhook source; undefined for any other id. The look-up before a signature is checked. */
  findHookTenant: async (sourceId: string): Promise<string | undefined> => {
    const [row] = await db.call('select etl_hook_tenant($1) as tenant', [sourceId]);
    return typeof row?.tenant === 'string' ? row.tenant : undefined;
  },
});
