import type { ArtifactRef } from '../../domain/artifacts.js';
import {
  isFinalPublicationState,
  publicationCountsSchema,
  publicationPlanSchema,
  publicationViewSchema,
  publicationWorkflowId,
  type PublicationLimits,
  type PublicationOptions,
  type PublicationPlan,
  type PublicationReject,
  type PublicationView,
  type PublishSnapshotInput,
  type QuarantineDecision,
} from '../../domain/datasets/contract.js';
import { PlatformError } from '../../domain/errors.js';
import type { StartRequest } from '../../domain/events/contract.js';
import type { Caller, Outcome, StartedFacts } from '../../domain/events/change.js';
import type { Database, Tx } from './database.js';
import { planOn } from './datasets.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import type { Prisma, Publication } from './generated/client.js';

const json = (value: unknown): Prisma.InputJsonValue => value as Prisma.InputJsonValue;
const time = (value: Date | null): string | undefined => value?.toISOString();

/** The row of a publication as the API answers it. */
const publicationView = (row: Publication): PublicationView =>
  publicationViewSchema.parse({
    id: row.publicationId,
    dataset: row.dataset,
    state: row.state,
    workflowId: publicationWorkflowId(row.tenantId, row.publicationId),
    plan: row.input,
    source: { digest: row.sourceDigest, sizeBytes: Number(row.sourceBytes) },
    counts: row.counts ?? undefined,
    snapshotId: row.snapshotId ?? undefined,
    quarantineExpiresAt: time(row.quarantineExpiresAt),
    decision: row.decision ?? undefined,
    cancel: row.cancel ?? undefined,
    failure: row.failure ?? undefined,
    requestedBy: row.requestedBy,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    endedAt: time(row.endedAt),
  });

/** The publication, locked until the transaction ends. @throws NOT_FOUND */
export async function lockPublication(
  tx: Tx,
  tenant: string,
  publicationId: string,
): Promise<Publication> {
  await tx.$queryRaw`select 1 from publication
    where tenant_id = ${tenant} and publication_id = ${publicationId} for update`;
  const row = await tx.publication.findUnique({
    where: { tenantId_publicationId: { tenantId: tenant, publicationId } },
  });
  if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such publication.');
  return row;
}

function startOf(
  publication: { tenant: string; publicationId: string; dataset: string; plan: PublicationPlan },
  limits: PublicationLimits,
): StartRequest {
  const { tenant, publicationId, dataset, plan } = publication;
  const input: PublishSnapshotInput = {
    tenant,
    publicationId,
    dataset,
    maxRejectShareBp: plan.maxRejectShareBp,
    limits,
  };
  return {
    workflowId: publicationWorkflowId(tenant, publicationId),
    workflowType: 'publishSnapshot',
    taskQueue: 'orchestration',
    input: { ...input },
    options: {
      summary: `${dataset} ← ${plan.source.format} upload`,
      searchAttributes: {
        Target: dataset,
        Phase: 'RECEIVED',
        WaitingOn: 'capacity',
        RiskClass: plan.riskClass,
      },
      priorityKey: 4,
    },
    startedBy: 'api',
  };
}

/** An upload that is to become a snapshot. */
export interface AskedPublication {
  dataset: string;
  options: PublicationOptions;
  source: { digest: string; sizeBytes: number };
  limits: PublicationLimits;
}

async function insertPublication(
  tx: Tx,
  caller: Caller,
  made: { publicationId: string; asked: AskedPublication; plan: PublicationPlan; ref: ArtifactRef },
): Promise<void> {
  const { asked, plan } = made;
  await tx.publication.create({
    data: {
      tenantId: caller.tenant,
      publicationId: made.publicationId,
      dataset: asked.dataset,
      contractId: plan.contractId,
      state: 'RECEIVED',
      input: json(plan),
      sourceRef: made.ref,
      sourceDigest: asked.source.digest,
      sourceBytes: BigInt(asked.source.sizeBytes),
      requestedBy: caller.actor.subject,
    },
  });
}

/**
 * Writes publication, intent, event and audit entry. `keep` stores the uploaded bytes for good and is called only once
 * nothing refuses any more, so that a refused or repeated request leaves no bytes.
 */
const startPublication =
  (db: Database) =>
  (
    caller: Caller,
    asked: AskedPublication,
    keep: () => Promise<ArtifactRef>,
  ): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const { dataset, source } = asked;
      const { plan } = await planOn(tx, tenant, asked);
      const publicationId = newId('publication');
      const ref = await keep();
      await insertPublication(tx, caller, { publicationId, asked, plan, ref });
      const start = startOf({ tenant, publicationId, dataset, plan }, asked.limits);
      return {
        status: 202,
        body: { id: publicationId, workflowId: start.workflowId, status: 'RECEIVED' },
        starts: [start],
        events: [
          {
            type: 'anneal.datasets.upload_received.v1',
            subject: `publications/${publicationId}`,
            data: { publicationId, dataset, sourceDigest: source.digest },
          },
        ],
        audit: {
          action: 'datasets.publication_requested',
          resource: { type: 'publication', id: publicationId },
          after: { state: 'RECEIVED', dataset, plan, source },
        },
      };
    });

/** Publications, newest first. */
const listPublications =
  (db: Database) =>
  (
    tenant: string,
    filter: { dataset?: string | undefined; state?: string | undefined },
    page: { limit: number; after: string | undefined },
  ): Promise<PublicationView[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.publication.findMany({
        where: {
          tenantId: tenant,
          ...(filter.dataset === undefined ? {} : { dataset: filter.dataset }),
          ...(filter.state === undefined ? {} : { state: filter.state }),
          ...(page.after === undefined ? {} : { publicationId: { lt: page.after } }),
        },
        orderBy: { publicationId: 'desc' },
        take: page.limit + 1,
      });
      return rows.map(publicationView);
    });

const illegal = (row: Publication, to: string, allowed: string[]): PlatformError =>
  new PlatformError('ILLEGAL_TRANSITION', `The publication is ${row.state}.`, {
    extensions: { from: row.state, to, allowed },
  });

/**
 * Records that the publication shall end without a snapshot, and wakes it. Once this has committed, nothing is
 * published. Asking again changes nothing. @throws NOT_FOUND, ILLEGAL_TRANSITION where it is over
 */
const requestCancel =
  (db: Database) =>
  (caller: Caller, publicationId: string, reason: string): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, async (tx) => {
      const row = await lockPublication(tx, caller.tenant, publicationId);
      const workflowId = publicationWorkflowId(caller.tenant, publicationId);
      const body = { id: publicationId, workflowId, status: row.state };
      if (isFinalPublicationState(row.state)) throw illegal(row, 'CANCELLED', []);
      if (row.cancel !== null) return { status: 202, body, audit: [] };
      const cancel = { by: caller.actor.subject, reason, at: new Date().toISOString() };
      await tx.publication.update({
        where: { tenantId_publicationId: { tenantId: caller.tenant, publicationId } },
        data: { cancel, updatedAt: new Date() },
      });
      return {
        status: 202,
        body,
        wakes: [{ workflowId, factId: newId('event') }],
        audit: {
          action: 'datasets.cancel_requested',
          resource: { type: 'publication', id: publicationId },
          before: { state: row.state },
          reason,
        },
      };
    });

/** What stands against a steward's decision. @throws ILLEGAL_TRANSITION, SELF_APPROVAL, DATASET_EMPTY */
async function refuseDecision(
  tx: Tx,
  row: Publication,
  asked: { kind: 'release' | 'discard'; subject: string },
): Promise<void> {
  const to = asked.kind === 'release' ? 'PUBLISHED' : 'DISCARDED';
  const [clock] = await tx.$queryRaw<{ open: boolean | null }[]>`
    select quarantine_expires_at > clock_timestamp() as open from publication
    where tenant_id = ${row.tenantId} and publication_id = ${row.publicationId}`;
  if (row.state !== 'QUARANTINED' || row.cancel !== null || row.decision !== null || !clock?.open)
    throw illegal(row, to, isFinalPublicationState(row.state) ? [] : ['CANCELLED']);
  const dataset = await tx.dataset.findUnique({
    where: { tenantId_name: { tenantId: row.tenantId, name: row.dataset } },
  });
  const { riskClass } = publicationPlanSchema.parse(row.input);
  const isHighRisk = riskClass === 'high' || dataset?.riskClass === 'high';
  if (isHighRisk && row.requestedBy === asked.subject)
    throw new PlatformError('SELF_APPROVAL', 'Another steward decides on what you uploaded.');
  if (asked.kind === 'release' && publicationCountsSchema.parse(row.counts).valid === 0)
    throw new PlatformError('DATASET_EMPTY', 'The batch has no valid row to publish.');
}

/** Records a steward's decision on a quarantined batch, once, and wakes the run. */
const decideQuarantine =
  (db: Database) =>
  (
    caller: Caller,
    publicationId: string,
    asked: { kind: 'release' | 'discard'; reason: string },
  ): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, async (tx) => {
      const { subject } = caller.actor;
      const row = await lockPublication(tx, caller.tenant, publicationId);
      await refuseDecision(tx, row, { kind: asked.kind, subject });
      const decision: QuarantineDecision = { ...asked, by: subject, at: new Date().toISOString() };
      await tx.publication.update({
        where: { tenantId_publicationId: { tenantId: caller.tenant, publicationId } },
        data: { decision, updatedAt: new Date() },
      });
      const workflowId = publicationWorkflowId(caller.tenant, publicationId);
      return {
        status: 202,
        body: { id: publicationId, workflowId, status: row.state },
        wakes: [{ workflowId, factId: newId('event') }],
        events: [
          {
            type: 'anneal.datasets.quarantine_decided.v1',
            subject: `publications/${publicationId}`,
            data: { publicationId, dataset: row.dataset, decision: asked.kind },
          },
        ],
        audit: {
          action: 'datasets.quarantine_decided',
          resource: { type: 'publication', id: publicationId, digest: row.sourceDigest },
          before: { state: row.state },
          after: { decision: asked.kind },
          reason: asked.reason,
        },
      };
    });

/** Where a page of rejected rows begins: after this broken rule. */
export interface RejectKey {
  row: number;
  field: string;
  rule: string;
}

/** Broken rules of rejected rows, in file order. @throws NOT_FOUND without the publication */
const listRejects =
  (db: Database) =>
  (
    tenant: string,
    filter: { publicationId: string; rule?: string | undefined },
    page: { limit: number; after: RejectKey | undefined },
  ): Promise<PublicationReject[]> =>
    db.withTenant(tenant, async (tx) => {
      const { publicationId } = filter;
      const where = { tenantId_publicationId: { tenantId: tenant, publicationId } };
      if ((await tx.publication.count({ where: where.tenantId_publicationId })) === 0)
        throw new PlatformError('NOT_FOUND', 'There is no such publication.');
      const { row = 0, field = '', rule = '' } = page.after ?? {};
      const rows = await tx.$queryRaw<(RejectKey & { detail: string | null })[]>`
        select row_number as row, field, rule, detail from publication_reject
        where tenant_id = ${tenant} and publication_id = ${publicationId}
          and (row_number, field, rule) > (${row}::int, ${field}, ${rule})
          and (${filter.rule ?? null}::text is null or rule = ${filter.rule ?? null})
        order by row_number, field, rule limit ${page.limit + 1}`;
      return rows.map(({ detail, ...reject }) => ({
        ...reject,
        ...(detail === null ? {} : { detail }),
      }));
    });

/** Publications as the API starts, reads and decides on them (role anneal_api). */
export const createPublicationStore = (db: Database) => ({
  startPublication: startPublication(db),
  /** One publication; undefined where there is none of this id. */
  findPublication: (tenant: string, publicationId: string): Promise<PublicationView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.publication.findUnique({
        where: { tenantId_publicationId: { tenantId: tenant, publicationId } },
      });
      return row === null ? undefined : publicationView(row);
    }),
  listPublications: listPublications(db),
  requestCancel: requestCancel(db),
  decideQuarantine: decideQuarantine(db),
  listRejects: listRejects(db),
});
