import { PlatformError } from '../../domain/errors.js';
import type { Target } from '../../domain/release/contract.js';
import type { ServingLease } from '../../domain/release/readiness.js';
import { LEASE_TTL_MS } from '../../domain/release/readiness.js';
import type {
  FollowedTarget,
  HeldTarget,
  PointerNow,
  StoredFacts,
} from '../../domain/release/record.js';
import type { RoutingDocument } from '../../domain/release/routing.js';
import type { ShadowCounts } from '../../domain/release/shadow-verdict.js';
import type { Database, Tx } from './database.js';
import { killsOf, readRouting } from './release-routing.js';

/** Serving processes of a target that reported within 15 s, with the age of the report. */
export async function readLeases(tx: Tx, tenant: string, target: Target): Promise<ServingLease[]> {
  const { env, kind, name } = target;
  const rows = await tx.$queryRaw<
    {
      process_id: string;
      role: string;
      epoch: number;
      ready: number[];
      failures: Record<string, string>;
      age_ms: number;
    }[]
  >`select process_id, role, epoch, ready, failures,
      (extract(epoch from clock_timestamp() - seen_at) * 1000)::float8 as age_ms
    from serving_lease where tenant_id = ${tenant} and env = ${env} and kind = ${kind} and name = ${name}
      and seen_at > clock_timestamp() - make_interval(secs => ${LEASE_TTL_MS / 1000}::float8)
    order by process_id`;
  return rows.map((row) => ({
    processId: row.process_id,
    role: row.role === 'inference' ? 'inference' : 'api',
    epoch: row.epoch,
    ready: row.ready,
    failures: row.failures,
    ageMs: row.age_ms,
  }));
}

const preflightFacts =
  (db: Database) =>
  (
    tenant: string,
    release: Target & { version: number; approvalId: string | null },
  ): Promise<StoredFacts> =>
    db.withTenant(tenant, async (tx) => {
      const { name, version, env, approvalId } = release;
      const found = await tx.modelVersion.findFirst({ where: { model: name, version } });
      if (found === null) throw new PlatformError('NOT_FOUND', 'There is no such version.');
      const routing = await readRouting(tx, tenant, release);
      const active =
        routing?.active == null
          ? null
          : await tx.modelVersion.findFirst({ where: { model: name, version: routing.active } });
      const approval =
        approvalId === null ? null : await tx.approval.findFirst({ where: { approvalId } });
      const deployment = await tx.deployment.findFirst({ where: { env, model: name, version } });
      return {
        assurance: found.assurance,
        artifactRef: found.artifactRef,
        artifactDigest: found.artifactDigest,
        contract: found.contract,
        activeContract: active?.contract ?? null,
        approval:
          approval === null
            ? null
            : {
                contractBreak: approval.contractBreak,
                requestedAtMs: approval.createdAt.getTime(),
              },
        barredAtMs: deployment?.barredAt?.getTime() ?? null,
        wasActive: deployment?.wasActive ?? false,
      };
    });

/** Requests under an epoch and later; those that ourselves ended (a kill, a cancel) count on neither side. */
const liveCounts =
  (db: Database) =>
  (
    tenant: string,
    of: { env: string; name: string; fromEpoch: number },
  ): Promise<{ n: number; errors: number }> =>
    db.withTenant(tenant, async (tx) => {
      const [row] = await tx.$queryRaw<{ n: number; errors: number }[]>`
        select count(*)::int as n,
          (count(*) filter (where state <> 'SUCCEEDED' or fallback is not null))::int as errors
        from decision where tenant_id = ${tenant} and env = ${of.env} and model = ${of.name}
          and routing_epoch >= ${of.fromEpoch} and state <> 'CANCELLED' and code is distinct from 'KILLED'`;
      return row ?? { n: 0, errors: 0 };
    });

/** Labelled decisions of a version under an epoch and later, newest first, with the label that counts. */
const labelledDecisions =
  (db: Database) =>
  (
    tenant: string,
    of: { env: string; name: string; version: number; fromEpoch: number; limit: number },
  ): Promise<{ decisionId: string; label: string }[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.$queryRaw<{ decision_id: string; label: string }[]>`
        select decision_id, label from (
          select d.decision_id, d.at, (
            select f.value #>> '{}' from feedback f
            where f.tenant_id = d.tenant_id and f.decision_id = d.decision_id and f.type = 'label'
            order by case f.source_kind when 'reviewer' then 0 when 'system' then 1 else 2 end, f.observed_at desc,
              f.feedback_id desc limit 1) as label
          from decision d where d.tenant_id = ${tenant} and d.env = ${of.env} and d.model = ${of.name}
            and d.version = ${of.version} and d.routing_epoch >= ${of.fromEpoch} and d.state = 'SUCCEEDED') t
        where label is not null order by at desc limit ${of.limit}`;
      return rows.map((row) => ({ decisionId: row.decision_id, label: row.label }));
    });

/** Accuracy of the evaluation report that the approval is bound to; null where there is none. */
const referenceAccuracy =
  (db: Database) =>
  (tenant: string, approvalId: string): Promise<number | null> =>
    db.withTenant(tenant, async (tx) => {
      const [row] = await tx.$queryRaw<{ value: number | null }[]>`
        select (e.report::jsonb #>> '{metrics,accuracy,value}')::float8 as value
        from approval a join evaluation e on e.tenant_id = a.tenant_id and e.evaluation_id = a.evaluation_id
        where a.tenant_id = ${tenant} and a.approval_id = ${approvalId}`;
      return row?.value ?? null;
    });

/** Counts of a shadow's pairs, by the database's clock; only these leave the store. */
const shadowCounts =
  (db: Database) =>
  (tenant: string, shadowId: string, maxLatencyRatio: number): Promise<ShadowCounts> =>
    db.withTenant(tenant, async (tx) => {
      const [row] = await tx.$queryRaw<
        {
          pairs: number;
          errors: number;
          slow: number;
          disagreements: number;
          labelled: number;
          candidate_only: number;
          champion_only: number;
          elapsed_ms: number;
        }[]
      >`
        with pair as (
          select champion->>'label' as champion, (champion->>'ms')::float8 as champion_ms,
            candidate->>'label' as candidate, (candidate->>'ms')::float8 as candidate_ms,
            candidate is null as failed, label
          from shadow_pair where tenant_id = ${tenant} and shadow_id = ${shadowId}),
        tail as (select percentile_cont(0.95) within group (order by champion_ms) as p95 from pair)
        select count(*)::int as pairs, (count(*) filter (where failed))::int as errors,
          (count(*) filter (where not failed and candidate_ms > ${maxLatencyRatio}::float8 * tail.p95))::int as slow,
          (count(*) filter (where not failed and candidate <> champion))::int as disagreements,
          (count(*) filter (where not failed and label is not null))::int as labelled,
          (count(*) filter (where not failed and candidate = label and champion <> label))::int as candidate_only,
          (count(*) filter (where not failed and champion = label and candidate <> label))::int as champion_only,
          (select (extract(epoch from clock_timestamp() - started_at) * 1000)::float8 from shadow
            where tenant_id = ${tenant} and shadow_id = ${shadowId}) as elapsed_ms
        from pair cross join tail`;
      const { labelled = 0 } = row ?? {};
      return {
        pairs: row?.pairs ?? 0,
        errors: row?.errors ?? 0,
        slow: row?.slow ?? 0,
        disagreements: row?.disagreements ?? 0,
        elapsedMs: row?.elapsed_ms ?? 0,
        ...(labelled === 0 || row === undefined
          ? {}
          : {
              labelled: {
                n: labelled,
                candidateOnly: row.candidate_only,
                championOnly: row.champion_only,
              },
            }),
      };
    });

/** Sealed outputs of decisions; those without one are left out. */
const sealedOutputs =
  (db: Database) =>
  (tenant: string, decisionIds: string[]): Promise<{ decisionId: string; outputs: Uint8Array }[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.inference.findMany({
        where: { tenantId: tenant, inferenceId: { in: decisionIds }, outputs: { not: null } },
        select: { inferenceId: true, outputs: true },
      });
      return rows.flatMap(({ inferenceId, outputs }) =>
        outputs === null ? [] : [{ decisionId: inferenceId, outputs }],
      );
    });

/** Reads that a release decides on. */
export const createReleaseFacts = (db: Database) => ({
  preflightFacts: preflightFacts(db),
  /** The pointer and the kill switches of a target. */
  readPointer: (tenant: string, target: Target): Promise<PointerNow> =>
    db.withTenant(tenant, async (tx) => ({
      routing: await readRouting(tx, tenant, target),
      kills: await killsOf(tx, tenant, target),
    })),
  liveCounts: liveCounts(db),
  labelledDecisions: labelledDecisions(db),
  referenceAccuracy: referenceAccuracy(db),
  shadowCounts: shadowCounts(db),
  sealedOutputs: sealedOutputs(db),
  /** Live serving processes of a target. */
  leases: (tenant: string, target: Target): Promise<ServingLease[]> =>
    db.withTenant(tenant, (tx) => readLeases(tx, tenant, target)),
});

/** The serving side: one round trip to report and to read, one to leave. */
export const createServingStore = (db: Database) => ({
  /**
   * Reports what this process holds and reads what it has to hold.
   * @param held absent where nothing has to be reported now
   */
  follow: async (
    tenant: string,
    process: { processId: string; role: 'api' | 'inference' },
    held?: HeldTarget[],
  ): Promise<FollowedTarget[]> => {
    const [row] = await db.call('select serving_follow($1, $2, $3, $4::jsonb) as targets', [
      tenant,
      process.processId,
      process.role,
      held === undefined ? null : JSON.stringify(held),
    ]);
    const targets = row?.targets as (Omit<FollowedTarget, 'routing'> & {
      routing: Omit<RoutingDocument, keyof Target> | null;
    })[];
    return targets.map(({ env, kind, name, candidates, routing }) => ({
      env,
      kind,
      name,
      candidates,
      routing: routing === null ? null : { env, kind, name, ...routing },
    }));
  },
  /** Takes the process's leases away. */
  leave: async (tenant: string, processId: string): Promise<void> => {
    await db.call('select serving_leave($1, $2)', [tenant, processId]);
  },
});
