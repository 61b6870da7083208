import type { KnowledgeHealth } from '../../domain/etl/knowledge-health.js';
import type { Database, SqlRow } from './database.js';

// What is due and what is claimed are two partial indexes: asked for apart, neither reads what is done.
const sources = `
  with waiting as (
    select source_id, count(distinct doc_id) as documents, min(received_at) as oldest from (
      select source_id, doc_id, received_at from etl_change_event where tenant_id = $1 and state = 'PENDING'
      union all
      select source_id, doc_id, received_at from etl_change_event where tenant_id = $1 and state = 'CLAIMED') e
    group by source_id)
  select s.kind, coalesce(sum(w.documents), 0)::int as backlog,
    coalesce(max(extract(epoch from now() - w.oldest)), 0)::float8 as oldest,
    max(a.seconds) as scan_age, max(a.seconds * 1000 / s.schedule_ms) as scan_ratio
  from etl_source s left join waiting w using (source_id)
  left join lateral (
    select extract(epoch from now() - coalesce(s.last_complete_scan_at, s.created_at))::float8 as seconds
    where s.state = 'ACTIVE' and s.schedule_ms is not null) a on true
  where s.tenant_id = $1 and s.state <> 'DELETED' group by s.kind`;

const sinks = `
  select g.sink, coalesce(sum(r.orphan_rows), 0)::int as orphans, coalesce(sum(r.missing_rows), 0)::int as missing,
    min(p.recall_bp) filter (where g.state = 'LIVE') as recall_bp, min(v.ndcg) filter (where g.state = 'LIVE') as ndcg
  from etl_generation g
  left join lateral (
    select orphan_rows, missing_rows from etl_reconcile r where r.tenant_id = $1 and r.generation_id = g.generation_id
      and r.state = 'DONE' order by r.reconcile_id desc limit 1) r on true
  left join retrieval_probe p on p.tenant_id = $1 and p.generation_id = g.generation_id
  left join lateral (
    select (e.result->'candidate'->>'ndcgAt10')::float8 as ndcg from retrieval_eval_run e where e.tenant_id = $1
      and e.generation_id = g.generation_id and e.state = 'DONE' order by e.evaluation_id desc limit 1) v on true
  where g.tenant_id = $1 and g.state <> 'DROPPED' group by g.sink`;

const intents = `
  select count(*)::int as open, coalesce(max(extract(epoch from now() - created_at)), 0)::float8 as seconds
  from etl_intent where tenant_id = $1 and state = 'OPEN'`;

const age = (value: unknown): number => Math.max(0, Number(value));
const measured = (value: unknown): number | undefined => (value === null ? undefined : age(value));

const healthOf = (of: {
  sources: SqlRow[];
  sinks: SqlRow[];
  intents: SqlRow[];
}): KnowledgeHealth => ({
  sources: of.sources.map((row) => ({
    sourceKind: String(row.kind),
    backlog: Number(row.backlog),
    oldestUnappliedSeconds: age(row.oldest),
    scanAgeSeconds: measured(row.scan_age),
    scanAgeRatio: measured(row.scan_ratio),
  })),
  sinks: of.sinks.map((row) => ({
    sink: String(row.sink),
    orphanRows: Number(row.orphans),
    missingRows: Number(row.missing),
    recallAt10: row.recall_bp === null ? undefined : Number(row.recall_bp) / 10_000,
    ndcgAt10: measured(row.ndcg),
  })),
  openIntents: Number(of.intents[0]?.open ?? 0),
  openIntentSeconds: age(of.intents[0]?.seconds ?? 0),
});

/** What the ledger says about how fresh and whole a tenant's knowledge is (role anneal_worker). */
export const createEtlHealth = (db: Database) => ({
  readHealth: (tenant: string): Promise<KnowledgeHealth> =>
    db.batch(tenant, async (query) =>
      healthOf({
        sources: await query(sources, [tenant]),
        sinks: await query(sinks, [tenant]),
        intents: await query(intents, [tenant]),
      }),
    ),
});
