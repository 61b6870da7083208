import type { Caller } from '../../domain/events/change.js';
import {
  documentSummarySchema,
  documentViewSchema,
  type DocumentSummary,
  type DocumentView,
} from '../../domain/etl/document-requests.js';
import type { Database, SqlRow, Tx } from './database.js';
import { sealed, type LedgerParts } from './etl-rows.js';
import { mutate } from './mutate.js';
import type { EtlDocument } from './generated/client.js';

/** Changes of a document that are shown. */
const SHOWN_CHANGES = 20;

const time = (value: Date | null | undefined): string | undefined => value?.toISOString();

/** Sources of the tenant that take their documents along: to readers these are gone already. */
async function goingSources(tx: Tx, tenant: string): Promise<Set<string>> {
  const [row] = await tx.$queryRaw<SqlRow[]>`select etl_going_sources(${tenant}) as ids`;
  return new Set(row?.ids as string[]);
}

const stateOf = (row: EtlDocument, going: Set<string>): string => {
  if (row.deletedAt !== null || going.has(row.sourceId)) return 'DELETED';
  if (row.hiddenReason !== null) return 'HIDDEN';
  if (row.liveRev === null) return 'PENDING';
  return row.staleSince === null ? 'INDEXED' : 'STALE';
};

const summaryFields = (row: EtlDocument, key: string, going: Set<string>) => ({
  id: row.docId,
  key,
  sourceId: row.sourceId,
  collectionId: row.collectionId,
  state: stateOf(row, going),
  revision: row.liveRev ?? undefined,
  hiddenReason: row.hiddenReason ?? undefined,
  staleSince: time(row.staleSince),
  deletedAt: time(row.deletedAt),
  updatedAt: row.updatedAt.toISOString(),
});

async function chunksOf(tx: Tx, row: EtlDocument) {
  if (row.liveRev === null) return [];
  const list = await tx.etlChunkList.findUnique({
    where: {
      tenantId_docId_rev: { tenantId: row.tenantId, docId: row.docId, rev: row.liveRev },
    },
  });
  return (list?.chunkIds ?? []).map((id, i) => ({
    id,
    start: list?.starts[i],
    end: list?.ends[i],
    page: list?.pages[i] === 0 ? undefined : list?.pages[i],
    embedTextHash: list?.textHashes[i],
  }));
}

async function revisionsOf(tx: Tx, row: EtlDocument) {
  const revisions = await tx.etlRevision.findMany({
    where: { tenantId: row.tenantId, docId: row.docId },
    orderBy: { rev: 'desc' },
    select: {
      rev: true,
      state: true,
      mediaType: true,
      findings: true,
      createdAt: true,
      supersededAt: true,
    },
  });
  return revisions.map(({ rev, findings, createdAt, supersededAt, ...rest }) => ({
    ...rest,
    revision: rev,
    findings: findings ?? undefined,
    createdAt: createdAt.toISOString(),
    supersededAt: time(supersededAt),
  }));
}

async function lineageOf(tx: Tx, row: EtlDocument) {
  const changes = await tx.etlChangeEvent.findMany({
    where: { tenantId: row.tenantId, docId: row.docId },
    orderBy: { receivedAt: 'desc' },
    take: SHOWN_CHANGES,
  });
  return changes.map((change) => ({
    changeId: change.changeId,
    kind: change.kind,
    sourceVersion: change.sourceVersion,
    state: change.state,
    receivedAt: change.receivedAt.toISOString(),
    appliedAt: time(change.appliedAt),
  }));
}

async function whyNotIndexed(tx: Tx, row: EtlDocument) {
  const item = await tx.etlQuarantineItem.findFirst({
    where: { tenantId: row.tenantId, docId: row.docId, state: 'OPEN' },
    orderBy: { itemId: 'desc' },
  });
  if (item === null) return undefined;
  const { itemId, stage, reason, evidence, createdAt } = item;
  return { itemId, stage, reason, evidence, since: createdAt.toISOString() };
}

async function documentView(tx: Tx, row: EtlDocument, key: string): Promise<DocumentView> {
  const manifests = await tx.etlManifest.findMany({
    where: { tenantId: row.tenantId, docId: row.docId },
    orderBy: { generationId: 'desc' },
  });
  return documentViewSchema.parse({
    ...summaryFields(row, key, await goingSources(tx, row.tenantId)),
    acl: row.acl,
    deniedPurposes: row.deniedPurposes,
    sourceToken: row.sourceToken ?? undefined,
    hashes: {
      raw: row.rawHash ?? undefined,
      text: row.textHash ?? undefined,
      metadata: row.metaHash ?? undefined,
      acl: row.aclHash ?? undefined,
    },
    fingerprints: {
      parse: row.parseFp ?? undefined,
      chunk: row.chunkFp ?? undefined,
      pipeline: row.pipelineFp ?? undefined,
    },
    chunks: await chunksOf(tx, row),
    generations: manifests.map(({ generationId, rev, rowIds, unindexedRowIds }) => ({
      generationId,
      revision: rev,
      rows: rowIds.length - unindexedRowIds.length,
      unindexed: unindexedRowIds.length,
    })),
    revisions: await revisionsOf(tx, row),
    lineage: await lineageOf(tx, row),
    whyNotIndexed: await whyNotIndexed(tx, row),
  });
}

/** The name of a document in its source. */
export const openKey = async (
  cipher: LedgerParts['cipher'],
  { tenantId, docId, naturalKeyEnc }: Pick<EtlDocument, 'tenantId' | 'docId' | 'naturalKeyEnc'>,
): Promise<string> =>
  (await cipher.decrypt(sealed.naturalKey(tenantId, docId), naturalKeyEnc)).toString('utf8');

/** Documents as the API reads them; changes come in by the ledger alone (role anneal_api). */
export const createEtlDocumentStore = (db: Database, cipher: LedgerParts['cipher']) => ({
  findDocument: (tenant: string, docId: string): Promise<DocumentView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.etlDocument.findUnique({
        where: { tenantId_docId: { tenantId: tenant, docId } },
      });
      return row === null ? undefined : documentView(tx, row, await openKey(cipher, row));
    }),
  /** By id; one more than `limit` where there are more. */
  listDocuments: (
    tenant: string,
    filter: { collectionId?: string | undefined; sourceId?: string | undefined },
    page: { limit: number; after: string | undefined },
  ): Promise<DocumentSummary[]> =>
    db.withTenant(tenant, async (tx) => {
      const { collectionId, sourceId } = filter;
      const rows = await tx.etlDocument.findMany({
        where: {
          tenantId: tenant,
          ...(collectionId === undefined ? {} : { collectionId }),
          ...(sourceId === undefined ? {} : { sourceId }),
          ...(page.after === undefined ? {} : { docId: { gt: page.after } }),
        },
        orderBy: { docId: 'asc' },
        take: page.limit + 1,
      });
      const going = await goingSources(tx, tenant);
      return Promise.all(
        rows.map(async (row) =>
          documentSummarySchema.parse(summaryFields(row, await openKey(cipher, row), going)),
        ),
      );
    }),
  /** What a change to a document is recorded by; undefined where there is no such document. */
  findDocumentKey: async (
    tenant: string,
    docId: string,
  ): Promise<{ sourceId: string; naturalKey: string } | undefined> => {
    const row = await db.withTenant(tenant, (tx) =>
      tx.etlDocument.findUnique({
        where: { tenantId_docId: { tenantId: tenant, docId } },
        select: { tenantId: true, docId: true, sourceId: true, naturalKeyEnc: true },
      }),
    );
    if (row === null) return undefined;
    return { sourceId: row.sourceId, naturalKey: await openKey(cipher, row) };
  },
  /** Bars a document from coming in again. Repeating it changes nothing. */
  suppressDocument: async (caller: Caller, docId: string): Promise<void> => {
    await mutate<SqlRow>(db, { ...caller, idempotency: undefined }, async (tx) => {
      const barred = await tx.$executeRaw`
        insert into etl_suppression (tenant_id, kind, hmac, request_id)
        values (${caller.tenant}, 'document', ${docId}, ${caller.requestId ?? ''}) on conflict do nothing`;
      const audit = {
        action: 'etl.document-suppressed',
        resource: { type: 'document', id: docId },
      };
      return { status: 200, body: {}, audit: barred === 0 ? [] : audit };
    });
  },
});
