import { PlatformError } from '../../domain/errors.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import type { StartRequest, WakeRequest } from '../../domain/events/contract.js';
import { scanSourceStart, watchSourceStart, type SourceLimits } from '../../domain/etl/contract.js';
import {
  isPullKind,
  type ChangeCollection,
  type ChangedCollection,
  type CollectionView,
  type CreateCollection,
} from '../../domain/etl/collection-view.js';
import type { Database, Tx } from './database.js';
import { collectionViews } from './etl-collection-views.js';
import { requireFusionEvidence } from './etl-fusion-evidence.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import type { EtlCollection, EtlSource, Prisma } from './generated/client.js';

const json = (value: unknown): Prisma.InputJsonValue => value as Prisma.InputJsonValue;

/** What decides the vectors of a generation. */
export interface GenerationSpecRow {
  embedder: string;
  embedSpec: Record<string, unknown>;
  embedFp: string;
  dims: number;
  sink: string;
  lexicalSink?: string | undefined;
  /** Made of the documents of the collection: its fingerprint is known once it is fitted. */
  fitted?: boolean | undefined;
}

/** The collection, locked until the transaction ends. @throws NOT_FOUND */
export async function lockCollection(
  tx: Tx,
  tenant: string,
  collectionId: string,
): Promise<EtlCollection> {
  await tx.$queryRaw`select 1 from etl_collection
    where tenant_id = ${tenant} and collection_id = ${collectionId} for update`;
  const row = await tx.etlCollection.findUnique({
    where: { tenantId_collectionId: { tenantId: tenant, collectionId } },
  });
  if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such collection.');
  return row;
}

async function viewOf(tx: Tx, row: EtlCollection): Promise<CollectionView> {
  const [view] = await collectionViews(tx, row.tenantId, [row]);
  if (view === undefined) throw new PlatformError('NOT_FOUND', 'There is no such collection.');
  return view;
}

/** Columns of a generation that are the same however it comes about. */
export const generationData = (spec: GenerationSpecRow) => ({
  embedder: spec.embedder,
  embedSpec: json(spec.embedSpec),
  embedFp: spec.embedFp,
  dims: spec.dims,
  sink: spec.sink,
  lexicalSink: spec.lexicalSink ?? null,
});

/** Writes a collection with its first generation, which is live from the start. @throws ALREADY_EXISTS */
const createCollection =
  (db: Database) =>
  (
    caller: Caller,
    input: CreateCollection,
    spec: GenerationSpecRow,
  ): Promise<Outcome<CollectionView>> =>
    mutate(db, caller, async (tx) => {
      const { tenant, actor } = caller;
      const { name, chunking, piiPolicy, aclDefault, purposes, autoFlip } = input;
      const collectionId = newId('collection');
      const generationId = newId('generation');
      const inserted = await tx.etlCollection.createMany({
        data: [
          {
            tenantId: tenant,
            collectionId,
            name,
            pipeline: json({ chunking, piiPolicy }),
            liveGenerationId: generationId,
            generationEpoch: 1,
            aclDefault,
            purposes,
            autoFlip,
            createdBy: actor.subject,
          },
        ],
        skipDuplicates: true,
      });
      if (inserted.count === 0)
        throw new PlatformError('ALREADY_EXISTS', 'There is a collection of this name.', {
          errors: [{ pointer: '/name', code: 'ALREADY_EXISTS' }],
        });
      await tx.etlGeneration.create({
        data: {
          tenantId: tenant,
          generationId,
          collectionId,
          ...generationData(spec),
          state: 'LIVE',
          createdBy: actor.subject,
        },
      });
      const row = await lockCollection(tx, tenant, collectionId);
      const facts = { collectionId, generationId, embedFp: spec.embedFp, sink: spec.sink };
      return {
        status: 201,
        body: await viewOf(tx, row),
        events: [
          {
            type: 'anneal.etl.collection_created.v1',
            subject: `collections/${collectionId}`,
            data: facts,
          },
        ],
        audit: {
          action: 'etl.collection-created',
          resource: { type: 'collection', id: collectionId },
          after: { ...facts, name, aclDefault, purposes, pipeline: { chunking, piiPolicy } },
        },
      };
    });

/** A scan of a pull source unless one is not over, be it that it waits for a decision; its start goes with the change. */
export async function insertScan(
  tx: Tx,
  caller: Caller,
  { source, limits }: { source: EtlSource; limits?: SourceLimits | undefined },
): Promise<{ scanId: string; start: StartRequest } | undefined> {
  const { tenant, actor } = caller;
  const { sourceId, name } = source;
  // Two that ask at once start one.
  await tx.$queryRaw`select 1 from etl_source
    where tenant_id = ${tenant} and source_id = ${sourceId} for update`;
  const running = await tx.etlScan.findFirst({
    where: { tenantId: tenant, sourceId, state: { in: ['RUNNING', 'WAITING'] } },
  });
  if (running !== null) return undefined;
  const scanId = newId('scan');
  await tx.etlScan.create({
    data: { tenantId: tenant, scanId, sourceId, state: 'RUNNING', requestedBy: actor.subject },
  });
  return {
    scanId,
    start: scanSourceStart({ tenant, scanId, sourceId, name }, 'api', limits?.scan),
  };
}

/** The wake of a source's watcher: it looks at its row and at what is due. */
export function wakeWatcher(
  source: { tenantId: string; sourceId: string; name: string },
  limits?: SourceLimits,
): WakeRequest {
  const { tenantId: tenant, sourceId, name } = source;
  const start: StartRequest = {
    ...watchSourceStart({ tenant, sourceId, name }, limits?.watch),
    startedBy: 'api',
  };
  return { workflowId: start.workflowId, factId: newId('event'), start };
}

/** The newest content change of every pushed document is due again: its bytes are read through the new pipeline. */
const repend = `
  update etl_change_event e set state = 'PENDING', priority = 5, batch_id = null, applied_at = null
  from etl_document d
  where d.tenant_id = $1 and d.source_id = $2 and d.deleted_at is null and e.tenant_id = d.tenant_id
    and e.change_id = (select n.change_id from etl_change_event n
      where n.tenant_id = d.tenant_id and n.doc_id = d.doc_id and n.kind <> 'acl' and n.state = 'APPLIED'
      order by n.seq desc limit 1)
    and e.kind = 'upsert' and e.content_ref is not null`;

/**
 * Everything of a collection goes through its new pipeline: pull sources are scanned, pushed bytes are read again, also those
 * that a source left behind when it was deleted. What a paused source pushed waits until it is resumed; a paused pull source
 * is scanned then, and counts nothing here.
 */
async function processAgain(
  tx: Tx,
  caller: Caller,
  { collectionId, limits }: { collectionId: string; limits?: SourceLimits | undefined },
) {
  const { tenant } = caller;
  const sources = await tx.etlSource.findMany({
    where: {
      ...{ tenantId: tenant, collectionId },
      NOT: { state: { in: ['DELETING', 'DELETED'] }, deleteMode: 'delete_documents' },
    },
  });
  const starts: StartRequest[] = [];
  const wakes: WakeRequest[] = [];
  const scans: string[] = [];
  let documentsAffected = 0;
  for (const source of sources) {
    const { sourceId, state } = source;
    if (!isPullKind(source.kind)) {
      const due = await tx.$executeRawUnsafe(repend, tenant, sourceId);
      documentsAffected += due;
      if (due > 0) wakes.push(wakeWatcher(source, limits));
    } else if (state === 'ACTIVE') {
      const scan = await insertScan(tx, caller, { source, limits });
      if (scan === undefined) continue;
      scans.push(scan.scanId);
      starts.push(scan.start);
      documentsAffected += await tx.etlDocument.count({
        where: { tenantId: tenant, sourceId, deletedAt: null },
      });
    }
  }
  return { starts, wakes, scans, documentsAffected };
}

const nothingAgain = { starts: [], wakes: [], scans: [], documentsAffected: 0 };

/** Changes a collection; another pipeline processes its documents again. @throws NOT_FOUND, FUSION_UNPROVEN */
const changeCollection =
  (db: Database, limits?: SourceLimits) =>
  (
    caller: Caller,
    collectionId: string,
    change: ChangeCollection,
  ): Promise<Outcome<ChangedCollection>> =>
    mutate(db, caller, async (tx) => {
      const before = await lockCollection(tx, caller.tenant, collectionId);
      await requireFusionEvidence(tx, before, change);
      const { chunking, piiPolicy, ...columns } = change;
      const pipeline = {
        ...(before.pipeline as object),
        ...(chunking === undefined ? {} : { chunking }),
        ...(piiPolicy === undefined ? {} : { piiPolicy }),
      };
      const isOther = JSON.stringify(pipeline) !== JSON.stringify(before.pipeline);
      const given = Object.entries(columns).filter(([, value]) => value !== undefined);
      const row = await tx.etlCollection.update({
        where: { tenantId_collectionId: { tenantId: caller.tenant, collectionId } },
        data: { ...Object.fromEntries(given), pipeline: json(pipeline), updatedAt: new Date() },
      });
      const { starts, wakes, ...again } = isOther
        ? await processAgain(tx, caller, { collectionId, limits })
        : nothingAgain;
      return {
        status: 200,
        body: { collection: await viewOf(tx, row), ...again },
        starts,
        wakes,
        audit: {
          action: 'etl.collection-changed',
          resource: { type: 'collection', id: collectionId },
          before: { pipeline: before.pipeline, purposes: before.purposes },
          after: { ...change, ...again },
        },
      };
    });

/** Collections as the API writes and reads them (role anneal_api). */
export const createEtlCollectionStore = (db: Database, limits?: SourceLimits) => ({
  createCollection: createCollection(db),
  changeCollection: changeCollection(db, limits),
  findCollection: (tenant: string, collectionId: string): Promise<CollectionView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.etlCollection.findUnique({
        where: { tenantId_collectionId: { tenantId: tenant, collectionId } },
      });
      return row === null ? undefined : viewOf(tx, row);
    }),
  /** Newest first; one more than `limit` where there are more. */
  listCollections: (
    tenant: string,
    filter: { name?: string | undefined },
    page: { limit: number; after: string | undefined },
  ): Promise<CollectionView[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.etlCollection.findMany({
        where: {
          tenantId: tenant,
          ...(filter.name === undefined ? {} : { name: filter.name }),
          ...(page.after === undefined ? {} : { collectionId: { lt: page.after } }),
        },
        orderBy: { collectionId: 'desc' },
        take: page.limit + 1,
      });
      return collectionViews(tx, tenant, rows);
    }),
});
