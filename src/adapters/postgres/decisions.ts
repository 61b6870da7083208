import type { DecisionFilter, DecisionRow } from '../../domain/decisions/contract.js';
import type { ProvenanceFacts } from '../../domain/decisions/provenance.js';
import type { Database, SqlRow } from './database.js';
import { Prisma } from './generated/client.js';

/** A decision row and the hash that is stored with it, `sha256:<hex>`. */
export interface StoredDecision {
  decision: DecisionRow;
  rowHash: string;
}

const member = (column: string): string =>
  column.replaceAll(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());

/** A row as JSON (`to_jsonb`) in the members and types that were hashed at settlement. */
function decisionOf(json: unknown): StoredDecision {
  const { row_hash: hash, at, ...columns } = json as SqlRow;
  const row = Object.fromEntries(
    Object.entries(columns).map(([column, value]) => [member(column), value]),
  );
  const decision = { ...row, at: new Date(String(at)).toISOString() } as unknown as DecisionRow;
  return { decision, rowHash: `sha256:${String(hash).replace(/^\\x/, '')}` };
}

function conditions(tenant: string, filter: DecisionFilter & { env: string }): Prisma.Sql[] {
  const all = [Prisma.sql`d.tenant_id = ${tenant}`, Prisma.sql`d.env = ${filter.env}`];
  const { subjectToken, target, version, epoch, state, from, to } = filter;
  if (subjectToken !== undefined) all.push(Prisma.sql`d.subject_token = ${subjectToken}`);
  if (target !== undefined) all.push(Prisma.sql`d.model = ${target}`);
  if (version !== undefined) all.push(Prisma.sql`d.version = ${version}`);
  if (epoch !== undefined) all.push(Prisma.sql`d.routing_epoch = ${epoch}`);
  if (state !== undefined) all.push(Prisma.sql`d.state = ${state}`);
  if (from !== undefined) all.push(Prisma.sql`d.at >= ${new Date(from)}`);
  if (to !== undefined) all.push(Prisma.sql`d.at < ${new Date(to)}`);
  return all;
}

/**
 * The whole chain in one statement. The release of a decision is the one that moved its epoch, where that one released
 * the answering version; else the newest release of that version before the decision.
 */
const chainQuery = (tenant: string, decisionId: string, env: string): Prisma.Sql => Prisma.sql`
  with d as (
    select * from decision where tenant_id = ${tenant} and decision_id = ${decisionId} and env = ${env}
  ), h as (
    select h.* from routing_history h join d on h.tenant_id = d.tenant_id and h.env = d.env and h.kind = 'model'
      and h.name = d.model and h.epoch = d.routing_epoch
  ), r as (
    select r.* from release r join d on r.tenant_id = d.tenant_id and r.env = d.env and r.kind = 'model'
      and r.name = d.model and r.version = d.version and r.created_at <= d.at
    left join h on true
    order by (r.release_id = h.release_id and r.approval_id is not null) desc nulls last, (r.approval_id is not null) desc,
      r.created_at desc limit 1
  ), a as (
    select a.* from approval a join r on a.tenant_id = r.tenant_id and a.approval_id = r.approval_id
  ), v as (
    select v.* from model_version v join d on v.tenant_id = d.tenant_id and v.model = d.model and v.version = d.version
  )
  select to_jsonb(d) as decision,
    (select jsonb_build_object('digest', 'sha256:' || encode(l.digest, 'hex'), 'sealedSeq', l.sealed_seq)
      from audit_leaf l where l.tenant_id = d.tenant_id and l.leaf_id = d.decision_id) as leaf,
    (select jsonb_build_object('env', h.env, 'epoch', h.epoch, 'actor', h.actor, 'reason', h.reason, 'at', h.at,
      'document', h.document) from h) as routing,
    (select jsonb_build_object('id', r.release_id, 'strategy', r.strategy, 'state', r.state, 'planDigest', r.plan_digest,
      'requestedBy', r.requested_by, 'reportDigest', r.report_digest) from r) as release,
    (select jsonb_build_object('id', a.approval_id, 'subject', a.subject, 'subjectDigest', a.subject_digest,
      'state', a.state, 'requestedBy', a.requested_by, 'decisions', (
        select coalesce(jsonb_agg(jsonb_build_object('by', s.principal_id, 'decision', s.decision, 'at', s.decided_at,
          'keyId', s.key_id, 'payload', s.payload, 'signature', encode(s.signature, 'hex')) order by s.decided_at), '[]')
        from approval_decision s where s.tenant_id = a.tenant_id and s.approval_id = a.approval_id)) from a) as approval,
    (select jsonb_build_object('id', e.evaluation_id, 'verdict', e.verdict, 'report', e.report,
      'reportDigest', e.report_digest)
      from evaluation e join a on e.tenant_id = a.tenant_id and e.evaluation_id = a.evaluation_id) as evaluation,
    (select jsonb_build_object('artifactDigest', v.artifact_digest, 'assurance', v.assurance, 'trainedBy', v.trained_by,
      'contract', v.contract, 'contractDigest', v.contract_digest) from v) as version,
    (select jsonb_build_object('id', t.run_id, 'state', t.state, 'trainer', t.trainer_kind,
      'requestedBy', t.requested_by, 'artifactDigest', t.artifact_digest)
      from training_run t join v on t.tenant_id = v.tenant_id and t.run_id = v.run_id) as run,
    (select jsonb_build_object('id', s.snapshot_id, 'dataset', s.dataset, 'state', s.state, 'rows', s.rows,
      'contractId', s.contract_id, 'consentAsOf', s.manifest->>'consentAsOf', 'sourceDigest', s.manifest->>'sourceDigest')
      from snapshot s where s.tenant_id = d.tenant_id and s.snapshot_id = d.dataset_version) as snapshot
  from d`;

const isoTime = <T extends { at: string }>(fact: T): T => ({
  ...fact,
  at: new Date(fact.at).toISOString(),
});

function factsOf(row: SqlRow): ProvenanceFacts {
  const { decision, rowHash } = decisionOf(row.decision);
  const links = row as unknown as Omit<ProvenanceFacts, 'decision' | 'rowHash'>;
  const { routing, approval } = links;
  return {
    decision,
    rowHash,
    leaf: links.leaf,
    routing: routing && isoTime(routing),
    release: links.release,
    approval: approval && { ...approval, decisions: approval.decisions.map(isoTime) },
    evaluation: links.evaluation,
    version: links.version,
    run: links.run,
    snapshot: links.snapshot,
  };
}

/** Reads of decision rows, all within one environment: a foreign one is as if it were not there. */
export const createDecisionStore = (db: Database) => ({
  findDecision: (
    tenant: string,
    env: string,
    decisionId: string,
  ): Promise<StoredDecision | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const [row] = await tx.$queryRaw<SqlRow[]>`
        select to_jsonb(d) as decision from decision d
        where d.tenant_id = ${tenant} and d.env = ${env} and d.decision_id = ${decisionId}`;
      return row === undefined ? undefined : decisionOf(row.decision);
    }),

  /** Newest first, strictly before `after`; one more than `limit` where there is more. */
  listDecisions: (
    tenant: string,
    filter: DecisionFilter & { env: string },
    page: { limit: number; after: string | undefined },
  ): Promise<StoredDecision[]> =>
    db.withTenant(tenant, async (tx) => {
      const all = conditions(tenant, filter);
      if (page.after !== undefined) all.push(Prisma.sql`d.decision_id < ${page.after}`);
      const rows = await tx.$queryRaw<SqlRow[]>`
        select to_jsonb(d) as decision from decision d where ${Prisma.join(all, ' and ')}
        order by d.decision_id desc limit ${page.limit + 1}`;
      return rows.map((row) => decisionOf(row.decision));
    }),

  /** Everything behind one decision, in one query. */
  findProvenance: (
    tenant: string,
    env: string,
    decisionId: string,
  ): Promise<ProvenanceFacts | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const [row] = await tx.$queryRaw<SqlRow[]>(chainQuery(tenant, decisionId, env));
      return row === undefined ? undefined : factsOf(row);
    }),
});
