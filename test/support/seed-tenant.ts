import type { TestDatabase } from './database.js';

/** Values of path parameters, by name. */
export type SeededIds = Record<string, string>;

const ulid = '01KAJ4Y4G0000000000000000A';
const digest = `sha256:${'d'.repeat(64)}`;
const hash = `'\\x${'00'.repeat(32)}'`;

const doc = '6f9619ff-8b86-8011-b42d-00c04fc964ff';

const model = { model: 'theirs', name: 'theirs', env: 'prod', version: '1' };

/** One row of everything that documents come in by. `t` and `owner` are SQL literals. */
async function seedKnowledge(
  q: (sql: string) => Promise<unknown>,
  t: string,
  owner: string,
): Promise<void> {
  await q(`insert into etl_collection (tenant_id, collection_id, name, pipeline, acl_default, purposes, created_by)
    values (${t}, 'col_${ulid}', 'theirs', '{"chunking":{"targetChars":1200,"maxChars":1600},"piiPolicy":{}}', '{}', '{support}', ${owner})`);
  await q(`insert into etl_source (tenant_id, source_id, collection_id, name, kind, config, acl, state, retain_raw, created_by)
    values (${t}, 'src_${ulid}', 'col_${ulid}', 'theirs', 'upload', '{}', '{public}', 'ACTIVE', true, ${owner})`);
  await q(`insert into etl_scan (tenant_id, scan_id, source_id, state, requested_by)
    values (${t}, 'scn_${ulid}', 'src_${ulid}', 'WAITING', ${owner})`);
  await q(`insert into retrieval_eval_set (tenant_id, eval_set_id, collection_id, name, digest, query_count, created_by)
    values (${t}, 'evs_${ulid}', 'col_${ulid}', 'theirs', '${digest}', 0, ${owner})`);
  await q(`insert into etl_document (tenant_id, doc_id, source_id, collection_id, key_hash, natural_key_enc, acl, denied_purposes)
    values (${t}, '${doc}', 'src_${ulid}', 'col_${ulid}', 'x', ${hash}, '{public}', '{}')`);
  await q(`insert into etl_quarantine_item (tenant_id, item_id, source_id, collection_id, doc_id, stage, reason, evidence, state)
    values (${t}, 'qua_${ulid}', 'src_${ulid}', 'col_${ulid}', '${doc}', 'gate', 'mojibake', '{}', 'OPEN')`);
}

const seededIds: Record<string, SeededIds> = {
  principals: { id: `prn_${ulid}` },
  'api-keys': { id: `key_${ulid}` },
  datasets: { name: 'theirs' },
  'dataset-contracts': { name: 'theirs', id: `con_${ulid}` },
  contracts: { name: 'theirs', id: `con_${ulid}` },
  snapshots: { name: 'theirs', id: digest },
  publications: { id: `pub_${ulid}` },
  models: model,
  versions: model,
  'training-runs': { ...model, id: `trn_${ulid}` },
  evaluations: { ...model, id: `evl_${ulid}` },
  approvals: { ...model, id: `apr_${ulid}` },
  releases: { ...model, id: `rel_${ulid}` },
  rollbacks: model,
  routing: model,
  shadows: { id: `shd_${ulid}` },
  'kill-switches': { id: `kil_${ulid}` },
  divergences: { id: `dvg_${ulid}` },
  inferences: { id: `inf_${ulid}` },
  decisions: { id: `inf_${ulid}` },
  collections: { id: `col_${ulid}` },
  sources: { id: `src_${ulid}` },
  scans: { id: `scn_${ulid}` },
  documents: { id: doc, rev: '1' },
  quarantine: { id: `qua_${ulid}` },
  'eval-sets': { id: `evs_${ulid}` },
};

/** One row of every kind that an endpoint can name, written as superuser; ids by the noun of the operations. */
export async function seedEveryTable(
  database: TestDatabase,
  tenant: string,
): Promise<Record<string, SeededIds>> {
  const q = (sql: string) => database.asSuperuser(sql);
  const t = `'${tenant}'`;
  const owner = `'prn_${ulid}'`;
  await q(
    `insert into principal (tenant_id, principal_id, kind, name, roles) values (${t}, ${owner}, 'person', 'theirs', '{viewer}')`,
  );
  await q(`insert into api_key (tenant_id, key_id, principal_id, env, last_four, secret_hmac, pepper_version, scopes, created_by)
    values (${t}, 'key_${ulid}', ${owner}, 'prod', 'abcd', ${hash}, 1, '{}', ${owner})`);
  await q(`insert into dataset (tenant_id, name, title, purposes, legal_basis, retention_days, risk_class, created_by)
    values (${t}, 'theirs', 'Theirs', '{scoring}', 'contract', 30, 'low', ${owner})`);
  await q(`insert into dataset_contract (tenant_id, contract_id, dataset, body, digest, created_by)
    values (${t}, 'con_${ulid}', 'theirs', '{"fields":[{"name":"y","type":"categorical","enum":["a","b"],"nullable":false}],"label":{"field":"y","positive":"a"},"keyFields":[]}', '${digest}', ${owner})`);
  await q(`insert into publication (tenant_id, publication_id, dataset, contract_id, state, input, source_ref, source_digest, source_bytes, requested_by)
    values (${t}, 'pub_${ulid}', 'theirs', 'con_${ulid}', 'QUARANTINED', '{"source":{"format":"csv"},"contractId":"con_${ulid}","purposes":["scoring"],"legalBasis":"contract","riskClass":"low","maxRejectShareBp":200,"mode":"full"}', 'x', '${digest}', 1, ${owner})`);
  await q(`insert into snapshot (tenant_id, snapshot_id, dataset, publication_id, contract_id, state, rows, rejected, manifest)
    values (${t}, '${digest}', 'theirs', 'pub_${ulid}', 'con_${ulid}', 'LIVE', 1, 0, '{}')`);
  await q(`insert into registered_model (tenant_id, name, purpose, risk_class, outcome, policy_name, owner, created_by)
    values (${t}, 'theirs', 'scoring', 'low', '{"type":"binary"}', 'default', 'team', ${owner})`);
  await q(`insert into model_version (tenant_id, model, version, assurance, artifact_ref, artifact_digest, artifact_bytes, contract, contract_digest, golden, metrics, lineage, trained_by)
    values (${t}, 'theirs', 1, 'REGISTERED', 'x', '${digest}', 1, '{}', '${digest}', '[]', '{}', '{}', ${owner})`);
  await q(`insert into training_run (tenant_id, run_id, model, state, input, snapshot_id, trainer_kind, requested_by)
    values (${t}, 'trn_${ulid}', 'theirs', 'RUNNING', '{}', '${digest}', 'gbt', ${owner})`);
  await q(`insert into evaluation (tenant_id, evaluation_id, model, version, state, input, requested_by)
    values (${t}, 'evl_${ulid}', 'theirs', 1, 'RUNNING', '{}', ${owner})`);
  await q(`insert into approval (tenant_id, approval_id, model, version, env, evaluation_id, state, subject, subject_digest, rollout_plan, required, comment, requested_by, expires_at)
    values (${t}, 'apr_${ulid}', 'theirs', 1, 'prod', 'evl_${ulid}', 'PENDING', '{}', '${digest}', '{}', 1, 'c', ${owner}, now() + interval '1 day')`);
  await q(`insert into routing (tenant_id, env, kind, name, epoch, active, arms, salt, shadow, min_epoch)
    values (${t}, 'prod', 'model', 'theirs', 1, 1, '[]', ${hash}, '[]', 1)`);
  await q(`insert into release (tenant_id, release_id, env, kind, name, version, strategy, state, plan, plan_digest, reason, requested_by)
    values (${t}, 'rel_${ulid}', 'prod', 'model', 'theirs', 1, 'blue_green', 'SHADOWING', '{}', '${digest}', 'r', ${owner})`);
  await q(`insert into shadow (tenant_id, shadow_id, env, model, version, state, input)
    values (${t}, 'shd_${ulid}', 'prod', 'theirs', 1, 'COLLECTING', '{}')`);
  await q(`insert into kill_switch (tenant_id, kill_id, scope, env, mode, reason, state, created_by)
    values (${t}, 'kil_${ulid}', 'tenant', 'prod', 'fail_closed', 'r', 'LIFT_REQUESTED', ${owner})`);
  await q(`insert into divergence (tenant_id, divergence_id, kind, action, state, workflow_id, workflow_type, detail)
    values (${t}, 'dvg_${ulid}', 'ENDED_EARLY', 'HELD', 'OPEN', 'infer/${tenant}/x', 'infer', 'd')`);
  await q(`insert into inference (tenant_id, inference_id, principal_id, env, model, version, arm, routing_epoch, state, purpose, plan, warnings, inputs_digest, inputs, request_id, workflow_id, deadline_at)
    values (${t}, 'inf_${ulid}', ${owner}, 'prod', 'theirs', 1, 'active', 1, 'SUCCEEDED', 'scoring', '{}', '[]', '${digest}', ${hash}, 'req', 'infer/${tenant}/x', now())`);
  await q(`insert into decision (tenant_id, decision_id, env, lane, state, actor, purpose, inputs_digest, inputs_ref, model, version, digest, arm, routing_epoch, contract_version, attempts, flags, warnings, latency_ms, row_hash)
    values (${t}, 'inf_${ulid}', 'prod', 'durable', 'SUCCEEDED', ${owner}, 'scoring', '${digest}', 'x', 'theirs', 1, '${digest}', 'active', 1, '${digest}', '[]', '[]', '[]', 1, ${hash})`);
  await seedKnowledge(q, t, owner);
  return seededIds;
}
