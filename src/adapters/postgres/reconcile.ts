import type { Caller, Outcome } from '../../domain/events/change.js';
import { PlatformError } from '../../domain/errors.js';
import type { StartOptions, StartRequest } from '../../domain/events/contract.js';
import type {
  DivergenceView,
  FoundDivergence,
  ResolveDivergence,
  Restored,
} from '../../domain/reconcile/contract.js';
import type { WorkFacts } from '../../domain/reconcile/judge-run.js';
import { SYSTEM_TENANT } from '../../domain/access/contract.js';
import type { WorkflowQueue } from '../../domain/task-queues.js';
import type { Database, SqlRow } from './database.js';
import type { Divergence } from './generated/client.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';

/** The row that says when the work of an intent ended, for every workflow that settles one. */
const ends = [
  ['infer', 'inference', 'inference_id', 'inferenceId', 'x.settled_at'],
  ['trainModel', 'training_run', 'run_id', 'runId', 'x.ended_at'],
  ['evaluateVersion', 'evaluation', 'evaluation_id', 'evaluationId', 'x.ended_at'],
  ['awaitApproval', 'approval', 'approval_id', 'approvalId', 'x.closed_at'],
  ['rollOutRelease', 'release', 'release_id', 'releaseId', 'x.ended_at'],
  ['publishSnapshot', 'publication', 'publication_id', 'publicationId', 'x.ended_at'],
  ['scanSource', 'etl_scan', 'scan_id', 'scanId', 'x.ended_at'],
  ['reconcileGeneration', 'etl_reconcile', 'reconcile_id', 'reconcileId', 'x.ended_at'],
  ['fitEmbedder', 'etl_fit', 'fit_id', 'fitId', 'x.ended_at'],
  ['evaluateRetrieval', 'retrieval_eval_run', 'evaluation_id', 'evaluationId', 'x.ended_at'],
] as const;

/** Work that ends with a state and not with a time; a generation that was flipped is held by a timer alone. */
const stateEnds = `
  select case when x.state = 'DELETED' then x.updated_at end from etl_source x
    where i.workflow_type = 'watchSource' and x.tenant_id = $1 and x.source_id = i.input->>'sourceId'
  union all select case when x.state <> 'BUILDING' then x.updated_at end from etl_generation x
    where i.workflow_type = 'reembedCollection' and x.tenant_id = $1 and x.generation_id = i.input->>'generationId'
      and x.state in ('BUILDING', 'DROPPED')`;

const endOf = [
  ...ends.map(
    ([type, table, column, member, end]) =>
      `select ${end} from ${table} x where i.workflow_type = '${type}' and x.tenant_id = $1 and x.${column} = i.input->>'${member}'`,
  ),
  stateEnds,
].join('\n  union all ');

/** An intent with what became of its work. */
const standing = `
  select i.workflow_id, i.workflow_type, i.task_queue, i.input, i.options, e.found is not null as known,
    extract(epoch from i.created_at) * 1000 as committed_ms, extract(epoch from e.ended) * 1000 as settled_ms,
    (select count(*) from divergence d where d.tenant_id = $1 and d.workflow_id = i.workflow_id
       and d.action = 'RESTARTED' and d.found_at > now() - interval '1 hour')::int as restarts,
    (select array_agg(d.run_id) from divergence d where d.tenant_id = $1 and d.workflow_id = i.workflow_id
       and d.resolution = 'RESTART') as restart_asked
  from intent i left join lateral (select true as found, q.ended from (${endOf}) as q(ended)) e on true
  where i.tenant_id = $1`;

/** Workflow ids of open work; of inferences the $3 that are due first. */
export const openIds = `
  select o.workflow_id from (select workflow_id from inference where tenant_id = $1 and settled_at is null
      order by deadline_at limit $3) o
  union all select 'training/' || $1 || '/' || run_id from training_run where tenant_id = $1 and ended_at is null
  union all select 'evaluation/' || $1 || '/' || evaluation_id from evaluation where tenant_id = $1 and ended_at is null
  union all select 'approval/' || $1 || '/' || approval_id from approval where tenant_id = $1 and closed_at is null
  union all select 'release/' || $1 || '/' || release_id from release where tenant_id = $1 and ended_at is null
  union all select 'snapshot/' || $1 || '/' || publication_id from publication where tenant_id = $1 and ended_at is null
  union all select 'etl/' || $1 || '/' || scan_id from etl_scan where tenant_id = $1 and ended_at is null
  union all select 'etl/' || $1 || '/' || reconcile_id from etl_reconcile where tenant_id = $1 and ended_at is null
  union all select 'etl/' || $1 || '/' || fit_id from etl_fit where tenant_id = $1 and ended_at is null
  union all select 'etl/' || $1 || '/' || source_id from etl_source where tenant_id = $1 and state <> 'DELETED'
  union all select 'etl/' || $1 || '/' || generation_id from etl_generation where tenant_id = $1 and state = 'BUILDING'
  union all select 'retrieval/' || $1 || '/' || evaluation_id from retrieval_eval_run
    where tenant_id = $1 and ended_at is null`;

/** Work as it stands, with the start that would begin it again. */
interface StandingWork extends Omit<WorkFacts, 'restartAsked'> {
  start: StartRequest;
  /** Runs of it that a person asked to start again. */
  restartAskedOf: ReadonlySet<string>;
}

const workOf = (row: SqlRow): StandingWork => ({
  start: {
    workflowId: String(row['workflow_id']),
    workflowType: String(row['workflow_type']),
    taskQueue: row['task_queue'] as WorkflowQueue,
    input: row['input'] as StartRequest['input'],
    options: row['options'] as StartOptions,
    startedBy: 'relay',
  },
  committedMs: Number(row['committed_ms']),
  settledMs:
    row['known'] !== true
      ? undefined
      : row['settled_ms'] === null
        ? null
        : Number(row['settled_ms']),
  restarts: Number(row['restarts']),
  restartAskedOf: new Set((row['restart_asked'] as string[] | null) ?? []),
});

const auditOf = (found: FoundDivergence, restorationId: string | undefined) => ({
  action: 'reconcile.diverged',
  resource: { type: 'workflow', id: found.workflowId },
  after: { kind: found.kind, action: found.action, runId: found.runId, restorationId },
  reason: found.detail,
});

/** What the reconciler reads and writes (role anneal_worker). */
export const createReconcileStore = (db: Database) => ({
  /**
   * Open work that was due `graceMs` ago and that the relay has handed over: what it has not is its own to repeat. Of
   * inferences at most `inferences`, the oldest first.
   */
  openWork: (
    tenant: string,
    bound: { graceMs: number; inferences: number },
  ): Promise<StandingWork[]> =>
    db.batch(tenant, async (query) => {
      const sql = `${standing} and i.workflow_id in (${openIds})
        and i.delivered_at is not null and i.due_at < now() - make_interval(secs => $2::float8)`;
      return (await query(sql, [tenant, bound.graceMs / 1_000, bound.inferences])).map(workOf);
    }),
  /** The work of these workflow ids, as far as intents are committed for them. */
  workOf: (tenant: string, workflowIds: string[]): Promise<StandingWork[]> =>
    db.batch(tenant, async (query) =>
      (await query(`${standing} and i.workflow_id = any($2)`, [tenant, workflowIds])).map(workOf),
    ),
  /** Writes what was found, an audit entry each; what is listed already is left out of the answer. */
  recordDivergences: async (
    caller: Caller,
    found: FoundDivergence[],
    restorationId: string | undefined,
  ): Promise<FoundDivergence[]> => {
    const { body } = await mutate(db, caller, async (tx) => {
      const fresh: FoundDivergence[] = [];
      for (const one of found) {
        const state = one.action === 'HELD' ? 'OPEN' : 'SETTLED';
        const written = await tx.$executeRaw`
          insert into divergence (tenant_id, divergence_id, kind, action, state, workflow_id, workflow_type, run_id,
            detail, restoration_id)
          select ${caller.tenant}, ${newId('divergence')}, ${one.kind}, ${one.action}, ${state}, ${one.workflowId},
            ${one.workflowType}, ${one.runId}, ${one.detail}, ${restorationId ?? null}
          where ${state} <> 'OPEN' or not exists (select 1 from divergence where tenant_id = ${caller.tenant}
            and workflow_id = ${one.workflowId} and kind = ${one.kind} and state = 'OPEN')
          on conflict do nothing`;
        if (written === 1) fresh.push(one);
      }
      return {
        status: 200,
        body: fresh,
        audit: fresh.map((one) => auditOf(one, restorationId)),
      };
    });
    return body;
  },
  /** Divergences that wait for a person, by kind. */
  countOpen: (tenant: string): Promise<{ kind: string; count: number }[]> =>
    db.batch(tenant, async (query) =>
      (
        await query(
          `select kind, count(*)::int as n from divergence where tenant_id = $1 and state = 'OPEN' group by kind`,
          [tenant],
        )
      ).map((row) => ({ kind: String(row['kind']), count: Number(row['n']) })),
    ),
});

/** The restore that is not reconciled yet. */
export const createRestorationStore = (db: Database) => ({
  /** Undefined where nothing was restored, or everything restored is reconciled. */
  openRestoration: (): Promise<Restored | undefined> =>
    db.withTenant(SYSTEM_TENANT, async (tx) => {
      const row = await tx.restoration.findFirst({
        where: { tenantId: SYSTEM_TENANT, reconciledAt: null },
        orderBy: { recoveredTo: 'asc' },
      });
      if (row === null) return undefined;
      return { restorationId: row.restorationId, recoveredToMs: row.recoveredTo.getTime() };
    }),
  closeRestoration: (restorationId: string): Promise<void> =>
    db.withTenant(SYSTEM_TENANT, async (tx) => {
      await tx.restoration.update({
        where: { tenantId_restorationId: { tenantId: SYSTEM_TENANT, restorationId } },
        data: { reconciledAt: new Date() },
      });
    }),
});

const viewOf = (row: Divergence): DivergenceView =>
  ({
    id: row.divergenceId,
    kind: row.kind,
    action: row.action,
    state: row.state,
    workflowId: row.workflowId,
    workflowType: row.workflowType,
    runId: row.runId,
    detail: row.detail,
    foundAt: row.foundAt.toISOString(),
    resolution: row.resolution,
    resolvedBy: row.resolvedBy,
    resolvedAt: row.resolvedAt?.toISOString() ?? null,
  }) as DivergenceView;

/** Divergences as people see and decide them (role anneal_api). */
export const createDivergenceStore = (db: Database) => ({
  /** Newest first, strictly after `after`; one more than the limit. */
  listDivergences: (
    tenant: string,
    filter: { state?: string | undefined; kind?: string | undefined },
    page: { limit: number; after: string | undefined },
  ): Promise<DivergenceView[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.divergence.findMany({
        where: {
          tenantId: tenant,
          ...(filter.state === undefined ? {} : { state: filter.state }),
          ...(filter.kind === undefined ? {} : { kind: filter.kind }),
          ...(page.after === undefined ? {} : { divergenceId: { lt: page.after } }),
        },
        orderBy: { divergenceId: 'desc' },
        take: page.limit + 1,
      });
      return rows.map(viewOf);
    }),
  /** @throws NOT_FOUND, ILLEGAL_TRANSITION where it is not open */
  resolveDivergence: (
    caller: Caller,
    decision: ResolveDivergence & { divergenceId: string },
  ): Promise<Outcome<DivergenceView>> =>
    mutate(db, caller, async (tx) => {
      const { divergenceId, resolution, reason } = decision;
      const id = { tenantId: caller.tenant, divergenceId };
      await tx.$queryRaw`select 1 from divergence
        where tenant_id = ${caller.tenant} and divergence_id = ${divergenceId} for update`;
      const row = await tx.divergence.findUnique({ where: { tenantId_divergenceId: id } });
      if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such divergence.');
      if (row.state !== 'OPEN')
        throw new PlatformError('ILLEGAL_TRANSITION', `The divergence is ${row.state}.`, {
          extensions: { from: row.state, to: 'RESOLVED', allowed: [] },
        });
      const after = await tx.divergence.update({
        where: { tenantId_divergenceId: id },
        data: {
          state: 'RESOLVED',
          resolution,
          resolvedBy: caller.actor.subject,
          resolvedAt: new Date(),
        },
      });
      return {
        status: 200,
        body: viewOf(after),
        audit: {
          action: 'reconcile.resolved',
          resource: { type: 'divergence', id: divergenceId },
          after: { resolution, workflowId: row.workflowId },
          reason,
        },
      };
    }),
});
