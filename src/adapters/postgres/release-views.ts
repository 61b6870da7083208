import type { ReleaseProgress } from '../../domain/release/contract.js';
import type { ReleaseSummary, ReleaseView, ShadowView } from '../../domain/release/view.js';
import type { Database, Tx } from './database.js';
import type { Prisma, Release } from './generated/client.js';
import { buildReport } from './release-report.js';
import { mustRead } from './release-steps.js';

const summaryOf = (row: Release): ReleaseSummary => ({
  id: row.releaseId,
  model: row.name,
  env: row.env,
  version: row.version,
  strategy: row.strategy as ReleaseSummary['strategy'],
  state: row.state as ReleaseSummary['state'],
  waitingOn: row.waitingOn,
  reason: row.reason,
  approvalId: row.approvalId,
  requestedBy: row.requestedBy,
  createdAt: row.createdAt.toISOString(),
  endedAt: row.endedAt?.toISOString() ?? null,
});

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

const nextAtOf = (progress: ReleaseProgress): string | null =>
  iso(progress.pauseDeadlineMs ?? progress.frozenUntilMs);

async function viewOf(tx: Tx, row: Release): Promise<ReleaseView> {
  const key = { tenant: row.tenantId, releaseId: row.releaseId };
  const record = await mustRead(tx, key);
  const { target, shadow, epochs, steps } = await buildReport(tx, record);
  const { progress } = record;
  return {
    ...summaryOf(row),
    target,
    plan: { ...record.plan },
    planDigest: record.planDigest,
    queuedBehind: row.queuedBehind,
    since: new Date(progress.sinceMs).toISOString(),
    nextAt: row.endedAt === null ? nextAtOf(progress) : null,
    cause: progress.cause,
    laggards: progress.laggards,
    failure: row.failure as ReleaseView['failure'],
    shadow: shadow as ReleaseView['shadow'],
    epochs: epochs.map(({ epoch, active, previous, move, at }) => ({
      epoch,
      active,
      previous,
      move,
      at,
    })),
    steps,
    reportDigest: row.reportDigest,
  };
}

async function shadowView(
  tx: Tx,
  tenant: string,
  shadowId: string,
): Promise<Omit<ShadowView, 'id'> | undefined> {
  const row = await tx.shadow.findFirst({ where: { tenantId: tenant, shadowId } });
  if (row === null) return undefined;
  const [counts] = await tx.$queryRaw<
    { pairs: number; errors: number; disagreements: number; labelled: number }[]
  >`select count(*)::int as pairs, (count(*) filter (where candidate is null))::int as errors,
      (count(*) filter (where candidate->>'label' <> champion->>'label'))::int as disagreements,
      (count(*) filter (where label is not null))::int as labelled
    from shadow_pair where tenant_id = ${tenant} and shadow_id = ${shadowId}`;
  const slices = await tx.$queryRaw<ShadowView['slices']>`
    select champion->>'label' as "championLabel", count(*)::int as pairs,
      (count(*) filter (where candidate->>'label' <> champion->>'label'))::int as disagreements
    from shadow_pair where tenant_id = ${tenant} and shadow_id = ${shadowId}
    group by 1 order by 3 desc, 1 limit 5`;
  const disagreeing = await tx.$queryRaw<{ decision_id: string }[]>`
    select decision_id from shadow_pair where tenant_id = ${tenant} and shadow_id = ${shadowId}
      and candidate->>'label' <> champion->>'label' order by created_at desc, decision_id limit 20`;
  return {
    releaseId: row.releaseId,
    model: row.model,
    env: row.env,
    version: row.version,
    state: row.state as ShadowView['state'],
    input: row.input as ShadowView['input'],
    verdict: row.verdict,
    ...(counts ?? { pairs: 0, errors: 0, disagreements: 0, labelled: 0 }),
    slices,
    disagreeing: disagreeing.map((pair) => pair.decision_id),
    startedAt: row.startedAt?.toISOString() ?? null,
    endedAt: row.endedAt?.toISOString() ?? null,
  };
}

/** Reads of releases and shadows. */
export const createReleaseViews = (db: Database) => ({
  /** A release with its story; undefined where the environment has none of this id. */
  findRelease: (
    tenant: string,
    key: { env: string; releaseId: string },
  ): Promise<ReleaseView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.release.findFirst({ where: { tenantId: tenant, ...key } });
      return row === null ? undefined : viewOf(tx, row);
    }),
  /** Newest first by id, strictly below `after`; one more than the limit. */
  listReleases: (
    tenant: string,
    filter: { env: string; model?: string | undefined; state?: string | undefined },
    page: { limit: number; after: string | undefined },
  ): Promise<ReleaseSummary[]> =>
    db.withTenant(tenant, async (tx) => {
      const where: Prisma.ReleaseWhereInput = { tenantId: tenant, env: filter.env };
      if (filter.model !== undefined) where.name = filter.model;
      if (filter.state !== undefined) where.state = filter.state;
      if (page.after !== undefined) where.releaseId = { lt: page.after };
      const rows = await tx.release.findMany({
        where,
        orderBy: { releaseId: 'desc' },
        take: page.limit + 1,
      });
      return rows.map(summaryOf);
    }),
  /** A shadow with its counts; undefined where there is none. */
  findShadow: (
    tenant: string,
    key: { env: string; shadowId: string },
  ): Promise<ShadowView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const view = await shadowView(tx, tenant, key.shadowId);
      return view?.env === key.env ? { id: key.shadowId, ...view } : undefined;
    }),
});
