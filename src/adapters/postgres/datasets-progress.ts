import {
  isFinalPublicationState,
  publicationPlanSchema,
  type PublicationCounts,
  type QuarantineDecision,
} from '../../domain/datasets/contract.js';
import { datasetContractSchema } from '../../domain/datasets/dataset-contract.js';
import type {
  Admission,
  ListedRejects,
  PublicationEnd,
  PublicationFacts,
  PublicationOutcome,
  QuarantineStanding,
} from '../../domain/datasets/publication-facts.js';
import { PlatformError } from '../../domain/errors.js';
import type { AuditFacts } from '../../domain/audit/contract.js';
import type { Caller, Change } from '../../domain/events/change.js';
import type { Database, Tx } from './database.js';
import { lockPublication } from './datasets-publications.js';
import { mutate } from './mutate.js';
import type { Prisma, Publication } from './generated/client.js';

const json = (value: unknown): Prisma.InputJsonValue => value as Prisma.InputJsonValue;

/** Rejected rows in one statement. */
const REJECTS_AT_ONCE = 1_000;

const order: readonly string[] = ['RECEIVED', 'PROFILING', 'VALIDATING', 'STAGED', 'QUARANTINED'];

const unchanged = <B>(body: B): Change<B> => ({ status: 200, body, audit: [] });

const moved = (row: Publication, after: string): AuditFacts => ({
  action: `datasets.${after.toLowerCase()}`,
  resource: { type: 'publication', id: row.publicationId, digest: row.sourceDigest },
  before: { state: row.state },
  after: { state: after },
});

async function setState(
  tx: Tx,
  row: Publication,
  data: Prisma.PublicationUpdateInput & { state: string },
): Promise<void> {
  const { tenantId, publicationId } = row;
  await tx.publication.update({
    where: { tenantId_publicationId: { tenantId, publicationId } },
    data: { ...data, updatedAt: new Date() },
  });
}

/** @throws ILLEGAL_TRANSITION where the publication is over */
function refuseFinal(row: Publication, to: string): void {
  if (!isFinalPublicationState(row.state)) return;
  throw new PlatformError('ILLEGAL_TRANSITION', `The publication is ${row.state}.`, {
    extensions: { from: row.state, to, allowed: [] },
  });
}

/** RECEIVED → PROFILING, unless someone cancelled. */
const beginPublication =
  (db: Database) =>
  async (caller: Caller, publicationId: string): Promise<Admission> => {
    const { body } = await mutate<Admission>(db, caller, async (tx) => {
      const row = await lockPublication(tx, caller.tenant, publicationId);
      if (row.cancel !== null) return unchanged<Admission>('CANCELLED');
      refuseFinal(row, 'PROFILING');
      if (row.state !== 'RECEIVED') return unchanged<Admission>('ADMITTED');
      await setState(tx, row, { state: 'PROFILING' });
      return { status: 200, body: 'ADMITTED', audit: moved(row, 'PROFILING') };
    });
    return body;
  };

/** Moves a publication forward and answers its facts; one that is there or further stays. */
const enterStage =
  (db: Database) =>
  async (
    caller: Caller,
    publicationId: string,
    stage: 'VALIDATING' | 'STAGED',
  ): Promise<PublicationFacts> => {
    const { body } = await mutate<PublicationFacts>(db, caller, async (tx) => {
      const row = await lockPublication(tx, caller.tenant, publicationId);
      refuseFinal(row, stage);
      const moves = order.indexOf(row.state) < order.indexOf(stage);
      if (moves) await setState(tx, row, { state: stage });
      const contract = await tx.datasetContract.findUnique({
        where: {
          tenantId_contractId: { tenantId: caller.tenant, contractId: row.contractId },
        },
      });
      if (contract === null)
        throw new PlatformError('CONTRACT_REQUIRED', 'The contract of the publication is gone.');
      const facts: PublicationFacts = {
        publicationId,
        dataset: row.dataset,
        state: moves ? stage : row.state,
        plan: publicationPlanSchema.parse(row.input),
        contract: datasetContractSchema.parse(contract.body),
        source: { ref: row.sourceRef, digest: row.sourceDigest },
      };
      return { status: 200, body: facts, audit: moves ? moved(row, stage) : [] };
    });
    return body;
  };

/** Lists rejected rows; those that are there stay as they are. */
const recordRejects =
  (db: Database) =>
  async (tenant: string, publicationId: string, rejects: ListedRejects): Promise<void> => {
    for (let at = 0; at < rejects.length; at += REJECTS_AT_ONCE) {
      const data = rejects.slice(at, at + REJECTS_AT_ONCE).map(({ row, field, rule, detail }) => ({
        tenantId: tenant,
        publicationId,
        rowNumber: row,
        field,
        rule,
        detail: detail ?? null,
      }));
      await db.withTenant(tenant, (tx) =>
        tx.publicationReject.createMany({ data, skipDuplicates: true }),
      );
    }
  };

/** VALIDATING → STAGED with what was counted. Repeating it changes nothing. */
const recordStaged =
  (db: Database) =>
  async (caller: Caller, publicationId: string, counts: PublicationCounts): Promise<void> => {
    await mutate(db, caller, async (tx) => {
      const row = await lockPublication(tx, caller.tenant, publicationId);
      refuseFinal(row, 'STAGED');
      if (order.indexOf(row.state) >= order.indexOf('STAGED')) return unchanged(null);
      await setState(tx, row, { state: 'STAGED', counts: json(counts) });
      const { total, valid, rejected } = counts;
      return {
        status: 200,
        body: null,
        audit: { ...moved(row, 'STAGED'), after: { state: 'STAGED', total, valid, rejected } },
      };
    });
  };

/** STAGED → QUARANTINED, from now until `quarantineMs` later by the database's clock. Idempotent. */
const quarantine =
  (db: Database) =>
  async (caller: Caller, publicationId: string, quarantineMs: number): Promise<void> => {
    await mutate(db, caller, async (tx) => {
      const row = await lockPublication(tx, caller.tenant, publicationId);
      refuseFinal(row, 'QUARANTINED');
      if (row.state === 'QUARANTINED') return unchanged(null);
      await setState(tx, row, { state: 'QUARANTINED' });
      await tx.$executeRaw`update publication
        set quarantine_expires_at = clock_timestamp() + make_interval(secs => ${quarantineMs / 1000})
        where tenant_id = ${caller.tenant} and publication_id = ${publicationId}`;
      return {
        status: 200,
        body: null,
        events: [
          {
            type: 'anneal.datasets.quarantined.v1',
            subject: `publications/${publicationId}`,
            data: { publicationId, dataset: row.dataset, state: 'QUARANTINED' },
          },
        ],
        audit: moved(row, 'QUARANTINED'),
      };
    });
  };

async function remainingMs(tx: Tx, row: Publication): Promise<number> {
  const [clock] = await tx.$queryRaw<{ remaining: number | null }[]>`
    select (extract(epoch from quarantine_expires_at - clock_timestamp()) * 1000)::float8 as remaining
    from publication where tenant_id = ${row.tenantId} and publication_id = ${row.publicationId}`;
  return Math.ceil(clock?.remaining ?? 0);
}

/**
 * How a quarantined batch stands; its time, once over by the database's clock, is recorded as the decision, so that
 * nobody can decide afterwards.
 */
const checkQuarantine =
  (db: Database) =>
  async (caller: Caller, publicationId: string): Promise<QuarantineStanding> => {
    const { body } = await mutate<QuarantineStanding>(db, caller, async (tx) => {
      const row = await lockPublication(tx, caller.tenant, publicationId);
      const left = await remainingMs(tx, row);
      const standing = (state: QuarantineStanding['state']) =>
        unchanged<QuarantineStanding>({ state, remainingMs: left });
      if (row.cancel !== null) return standing('CANCELLED');
      const decided = row.decision as QuarantineDecision | null;
      if (decided !== null) return standing(decided.kind === 'release' ? 'RELEASED' : 'DISCARDED');
      if (left > 0) return standing('WAITING');
      const reason = 'nobody decided in time';
      const decision: QuarantineDecision = {
        kind: 'expire',
        by: caller.actor.subject,
        reason,
        at: new Date().toISOString(),
      };
      await setState(tx, row, { state: row.state, decision });
      return {
        status: 200,
        body: { state: 'DISCARDED', remainingMs: left },
        audit: {
          action: 'datasets.quarantine_expired',
          resource: { type: 'publication', id: publicationId, digest: row.sourceDigest },
          before: { state: row.state },
          reason,
        },
      };
    });
    return body;
  };

/** True where someone asked to cancel the publication. */
const isCancelRequested =
  (db: Database) =>
  (tenant: string, publicationId: string): Promise<boolean> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.publication.findUnique({
        where: { tenantId_publicationId: { tenantId: tenant, publicationId } },
        select: { cancel: true },
      });
      return row !== null && row.cancel !== null;
    });

/** The snapshot of a publication that is PUBLISHED already. */
const findPublished =
  (db: Database) =>
  (tenant: string, publicationId: string): Promise<string | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.publication.findUnique({
        where: { tenantId_publicationId: { tenantId: tenant, publicationId } },
        select: { snapshotId: true },
      });
      return row?.snapshotId ?? undefined;
    });

/** Ends a publication without a snapshot; one that is already over keeps its end, which is answered. */
const settlePublication =
  (db: Database) =>
  async (
    caller: Caller,
    publicationId: string,
    end: PublicationEnd,
  ): Promise<PublicationOutcome> => {
    const { body } = await mutate<PublicationOutcome>(db, caller, async (tx) => {
      const row = await lockPublication(tx, caller.tenant, publicationId);
      if (isFinalPublicationState(row.state))
        return unchanged<PublicationOutcome>({
          state: row.state,
          snapshotId: row.snapshotId ?? undefined,
        });
      const { state, failure } = end;
      const code = failure === undefined ? {} : { code: failure.code };
      await setState(tx, row, {
        state,
        endedAt: new Date(),
        ...(failure ? { failure: json(failure) } : {}),
      });
      return {
        status: 200,
        body: { state },
        events: [
          {
            type: `anneal.datasets.${state.toLowerCase()}.v1`,
            subject: `publications/${publicationId}`,
            data: { publicationId, dataset: row.dataset, state, ...code },
          },
        ],
        audit: { ...moved(row, state), after: { state, ...code } },
      };
    });
    return body;
  };

/** Publications as their workflow drives them (role anneal_worker). Every function may be repeated. */
export const createPublicationProgressStore = (db: Database) => ({
  beginPublication: beginPublication(db),
  enterStage: enterStage(db),
  recordRejects: recordRejects(db),
  recordStaged: recordStaged(db),
  quarantine: quarantine(db),
  checkQuarantine: checkQuarantine(db),
  findPublished: findPublished(db),
  isCancelRequested: isCancelRequested(db),
  settlePublication: settlePublication(db),
});
