import { collectionViewSchema, type CollectionView } from '../../domain/etl/collection-view.js';
import type { SqlRow, Tx } from './database.js';
import type {
  EtlCollection,
  EtlFit,
  EtlGeneration,
  EtlReconcile,
  RetrievalProbe,
} from './generated/client.js';

const time = (value: Date | null): string | undefined => value?.toISOString();

const generationOf = (row: EtlGeneration) => ({
  id: row.generationId,
  embedder: row.embedder,
  embedFp: row.embedFp,
  dims: row.dims,
  sink: row.sink,
  lexicalSink: row.lexicalSink ?? undefined,
  state: row.state,
  outcome: row.outcome ?? undefined,
  driftedAt: time(row.driftedAt),
  holdUntil: time(row.holdUntil),
  createdAt: row.createdAt.toISOString(),
});

const reconcileOf = (row: EtlReconcile) => ({
  ...row,
  id: row.reconcileId,
  createdAt: row.createdAt.toISOString(),
  endedAt: time(row.endedAt),
});

const fitOf = (row: EtlFit) => ({
  id: row.fitId,
  generationId: row.generationId,
  embedder: row.embedder,
  state: row.state,
  code: (row.outcome as { code?: string } | null)?.code,
  createdAt: row.createdAt.toISOString(),
});

const probeOf = (row: Omit<RetrievalProbe, 'vectors'> | undefined) =>
  row?.probedAt === undefined || row.probedAt === null
    ? undefined
    : {
        recallBp: row.recallBp,
        lowInARow: row.lowInARow,
        probedAt: row.probedAt.toISOString(),
      };

/** Counts and age of what waits, one statement for all collections of a page. */
const figures = `
  select c.collection_id,
    (select count(*)::int from etl_source s where s.tenant_id = c.tenant_id and s.collection_id = c.collection_id
       and s.state <> 'DELETED') as sources,
    d.documents, d.indexed, d.hidden,
    (select count(*)::int from etl_quarantine_item q where q.tenant_id = c.tenant_id
       and q.collection_id = c.collection_id and q.state = 'OPEN') as quarantined,
    (select coalesce(extract(epoch from now() - min(etl_oldest_change(s.tenant_id, s.source_id))) * 1000, 0)::bigint
       from etl_source s where s.tenant_id = c.tenant_id and s.collection_id = c.collection_id
         and s.state <> 'DELETED') as oldest_ms,
    (select min(s.last_complete_scan_at) from etl_source s where s.tenant_id = c.tenant_id
       and s.collection_id = c.collection_id and s.state <> 'DELETED') as last_scan
  from etl_collection c cross join lateral (
    select count(*) filter (where deleted_at is null)::int as documents,
      count(*) filter (where deleted_at is null and hidden_reason is null and live_rev is not null)::int as indexed,
      count(*) filter (where deleted_at is null and hidden_reason is not null)::int as hidden
    from etl_document where tenant_id = c.tenant_id and collection_id = c.collection_id) d
  where c.tenant_id = $1 and c.collection_id = any($2)`;

/** Collections as the API answers them, in the order of the rows. */
export async function collectionViews(
  tx: Tx,
  tenant: string,
  rows: readonly EtlCollection[],
): Promise<CollectionView[]> {
  const ids = rows.map((row) => row.collectionId);
  const found = await tx.$queryRawUnsafe<SqlRow[]>(figures, tenant, ids);
  const generations = await tx.etlGeneration.findMany({
    where: { tenantId: tenant, collectionId: { in: ids }, state: { not: 'DROPPED' } },
    orderBy: { generationId: 'desc' },
  });
  const live = rows.flatMap((row) => row.liveGenerationId ?? []);
  const reconciles = await tx.etlReconcile.findMany({
    where: { tenantId: tenant, generationId: { in: live } },
    orderBy: [{ generationId: 'asc' }, { reconcileId: 'desc' }],
    distinct: ['generationId'],
  });
  const probes = await tx.retrievalProbe.findMany({
    where: { tenantId: tenant, generationId: { in: live }, recallBp: { not: null } },
    omit: { vectors: true },
  });
  const fits = await tx.etlFit.findMany({
    where: { tenantId: tenant, collectionId: { in: ids } },
    orderBy: [{ collectionId: 'asc' }, { fitId: 'desc' }],
    distinct: ['collectionId'],
  });
  return rows.map((row) => {
    const fit = fits.find((one) => one.collectionId === row.collectionId);
    const figure = found.find((one) => one.collection_id === row.collectionId) ?? {};
    const last = reconciles.find((one) => one.generationId === row.liveGenerationId);
    const lastScan = figure.last_scan instanceof Date ? figure.last_scan : null;
    return collectionViewSchema.parse({
      ...row,
      id: row.collectionId,
      alphaBp: row.alphaBp ?? undefined,
      liveGenerationId: row.liveGenerationId ?? undefined,
      generations: generations
        .filter((one) => one.collectionId === row.collectionId)
        .map(generationOf),
      fit: fit === undefined || fit.state === 'DONE' ? undefined : fitOf(fit),
      counts: figure,
      freshness: {
        oldestUnappliedMs: Math.max(0, Number(figure.oldest_ms ?? 0)),
        lastCompleteScanAt: time(lastScan),
      },
      lastReconcile: last === undefined ? undefined : reconcileOf(last),
      lastProbe: probeOf(probes.find((one) => one.generationId === row.liveGenerationId)),
      createdAt: row.createdAt.toISOString(),
      updatedAt: row.updatedAt.toISOString(),
    });
  });
}
