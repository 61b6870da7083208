import { isFinalPublicationState } from '../../domain/datasets/contract.js';
import type {
  MadeSnapshot,
  Publishing,
  SubjectCount,
} from '../../domain/datasets/publication-facts.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller } from '../../domain/events/change.js';
import { lineageNode } from '../../domain/registry/lineage.js';
import type { Database, Tx } from './database.js';
import { lockPublication } from './datasets-publications.js';
import { mutate } from './mutate.js';
import type { Prisma, Publication } from './generated/client.js';

const json = (value: unknown): Prisma.InputJsonValue => value as Prisma.InputJsonValue;

/** Entries of the subject index in one statement. */
const SUBJECTS_AT_ONCE = 20_000;

async function insertSubjects(
  tx: Tx,
  snapshot: { tenant: string; snapshotId: string },
  subjects: SubjectCount[],
): Promise<void> {
  for (let at = 0; at < subjects.length; at += SUBJECTS_AT_ONCE) {
    const some = subjects.slice(at, at + SUBJECTS_AT_ONCE);
    await tx.$executeRaw`
      insert into snapshot_subject (tenant_id, subject_token, snapshot_id, part, rows)
      select ${snapshot.tenant}, token, ${snapshot.snapshotId}, part, rows
      from unnest(${some.map((one) => one.subjectToken)}::text[], ${some.map((one) => one.part)}::int[],
        ${some.map((one) => one.rows)}::int[]) as one(token, part, rows)
      on conflict do nothing`;
  }
}

/**
 * Writes the snapshot with its subject index, or finds the one that is there: a content address names the same rows.
 * @throws SNAPSHOT_NOT_LIVE where these very rows were withdrawn; publishing them again must not bring them back
 */
async function insertSnapshot(tx: Tx, row: Publication, made: MadeSnapshot): Promise<boolean> {
  const { tenantId, dataset, publicationId, contractId } = row;
  const { snapshotId, manifest, subjects } = made;
  const inserted = await tx.$executeRaw`
    insert into snapshot (tenant_id, snapshot_id, dataset, publication_id, contract_id, state, rows, rejected, manifest)
    values (${tenantId}, ${snapshotId}, ${dataset}, ${publicationId}, ${contractId}, 'LIVE', ${manifest.rows},
      ${manifest.rejected}, ${json(manifest)}::jsonb)
    on conflict do nothing`;
  if (inserted === 1) {
    await insertSubjects(tx, { tenant: tenantId, snapshotId }, subjects);
    return true;
  }
  const [found] = await tx.$queryRaw<{ state: string }[]>`select state from snapshot
    where tenant_id = ${tenantId} and snapshot_id = ${snapshotId} for share`;
  if (found?.state !== 'LIVE')
    throw new PlatformError('SNAPSHOT_NOT_LIVE', 'These rows were published and withdrawn.', {
      extensions: { state: found?.state, snapshotId },
    });
  return false;
}

/** Moves the data set's pointer, by compare-and-swap on the epoch. */
async function movePointer(tx: Tx, row: Publication, snapshotId: string): Promise<void> {
  const { tenantId, dataset } = row;
  const [before] = await tx.$queryRaw<{ epoch: number; current: string | null }[]>`
    select epoch, current_snapshot_id as current from dataset
    where tenant_id = ${tenantId} and name = ${dataset} for update`;
  if (before === undefined)
    throw new PlatformError('NOT_FOUND', 'There is no data set of this name.');
  if (before.current === snapshotId) return;
  await tx.$executeRaw`update dataset
    set current_snapshot_id = ${snapshotId}, epoch = epoch + 1, updated_at = now()
    where tenant_id = ${tenantId} and name = ${dataset} and epoch = ${before.epoch}`;
}

/** Publishing of snapshots (role anneal_worker). */
export const createSnapshotPublisher = (db: Database) => ({
  /**
   * Publishes a snapshot: its row, the subject index, the data set's pointer, lineage, state of the publication, event
   * and audit entry in one transaction. Idempotent by publication. One that was cancelled publishes nothing.
   * @throws SNAPSHOT_NOT_LIVE, and ILLEGAL_TRANSITION where the publication has ended otherwise
   */
  publishSnapshot: async (
    caller: Caller,
    publicationId: string,
    made: MadeSnapshot,
  ): Promise<Publishing> => {
    const { snapshotId, manifest } = made;
    const { body } = await mutate<Publishing>(db, caller, async (tx) => {
      const row = await lockPublication(tx, caller.tenant, publicationId);
      const published: Publishing = { kind: 'PUBLISHED', snapshotId };
      if (row.state === 'PUBLISHED' && row.snapshotId === snapshotId)
        return { status: 200, body: published, audit: [] };
      if (row.cancel !== null) return { status: 200, body: { kind: 'CANCELLED' }, audit: [] };
      if (isFinalPublicationState(row.state))
        throw new PlatformError('ILLEGAL_TRANSITION', `The publication is ${row.state}.`, {
          extensions: { from: row.state, to: 'PUBLISHED', allowed: [] },
        });
      const isNew = await insertSnapshot(tx, row, made);
      await movePointer(tx, row, snapshotId);
      await tx.lineageEdge.createMany({
        data: [
          {
            tenantId: caller.tenant,
            fromNode: lineageNode('snapshot', snapshotId),
            relation: 'derived_from',
            toNode: lineageNode('source', manifest.sourceDigest),
          },
        ],
        skipDuplicates: true,
      });
      await tx.publication.update({
        where: { tenantId_publicationId: { tenantId: caller.tenant, publicationId } },
        data: { state: 'PUBLISHED', snapshotId, endedAt: new Date(), updatedAt: new Date() },
      });
      const { rows, rejected } = manifest;
      const facts = { publicationId, dataset: row.dataset, snapshotId, rows, rejected };
      return {
        status: 200,
        body: published,
        events: [
          {
            type: 'anneal.datasets.published.v1',
            subject: `datasets/${row.dataset}`,
            data: { ...facts, state: 'PUBLISHED' },
          },
        ],
        audit: {
          action: 'datasets.published',
          resource: { type: 'snapshot', id: snapshotId, digest: snapshotId },
          before: { state: row.state },
          after: { state: 'PUBLISHED', ...facts, isNew, sourceDigest: manifest.sourceDigest },
        },
      };
    });
    return body;
  },
});
