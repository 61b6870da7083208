import { snapshotViewSchema, type SnapshotView } from '../../domain/datasets/contract.js';
import type { Database } from './database.js';
import type { Snapshot } from './generated/client.js';

const snapshotView = (row: Snapshot): SnapshotView =>
  snapshotViewSchema.parse({
    ...row,
    id: row.snapshotId,
    createdAt: row.createdAt.toISOString(),
  });

/** Snapshots as they are read. */
export const createSnapshotStore = (db: Database) => ({
  /** One snapshot; undefined where there is none of this id. */
  findSnapshot: (tenant: string, snapshotId: string): Promise<SnapshotView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.snapshot.findUnique({
        where: { tenantId_snapshotId: { tenantId: tenant, snapshotId } },
      });
      return row === null ? undefined : snapshotView(row);
    }),
  /** Newest first, by the publication that made them: a content address has no order. */
  listSnapshots: (
    tenant: string,
    filter: { dataset?: string | undefined },
    page: { limit: number; after: string | undefined },
  ): Promise<SnapshotView[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.snapshot.findMany({
        where: {
          tenantId: tenant,
          ...(filter.dataset === undefined ? {} : { dataset: filter.dataset }),
          ...(page.after === undefined ? {} : { publicationId: { lt: page.after } }),
        },
        orderBy: { publicationId: 'desc' },
        take: page.limit + 1,
      });
      return rows.map(snapshotView);
    }),
});
