import type { AuditLeaf, ChainRow } from '../../../src/domain/audit/chain.js';
import { createChainVerifier } from '../../../src/domain/audit/verify-chain.js';
import type { Evidence, Judgement, Row } from './evidence.js';

// I3: the chains are whole, and every change of state has its row in them.

const linkOf = (row: Row): ChainRow => ({
  seq: Number(row['seq']),
  atMicros: BigInt(String(row['at_micros'])),
  entry: String(row['entry']),
  entryHash: row['entry_hash'] as Uint8Array,
  prevHash: row['prev_hash'] as Uint8Array,
  hash: row['hash'] as Uint8Array,
});

async function verifyChain(
  { sql }: Evidence,
  tenant: string,
): Promise<{ findings: string[]; links: number }> {
  const rows = await sql('select * from audit_entry where tenant_id = $1 order by seq', [tenant]);
  const [head] = await sql('select * from audit_head where tenant_id = $1', [tenant]);
  const sealed = await sql(
    `select leaf_id, kind, digest, sealed_seq, (extract(epoch from created_at) * 1000000)::bigint as micros
     from audit_leaf where tenant_id = $1 and sealed_seq is not null`,
    [tenant],
  );
  const leaves = new Map<number, AuditLeaf[]>();
  for (const row of sealed) {
    const seq = Number(row['sealed_seq']);
    const leaf = {
      leafId: String(row['leaf_id']),
      kind: String(row['kind']),
      digest: row['digest'] as Uint8Array,
      createdMicros: BigInt(String(row['micros'])),
    };
    leaves.set(seq, [...(leaves.get(seq) ?? []), leaf]);
  }
  const verifier = createChainVerifier({
    tenant,
    head:
      head === undefined
        ? undefined
        : { seq: Number(head['seq']), hash: head['hash'] as Uint8Array },
    checkpoints: [],
  });
  verifier.add({ rows: rows.map(linkOf), leaves });
  const { status, fault } = verifier.finish();
  const findings =
    status === 'intact'
      ? []
      : [`chain of ${tenant} is ${status} at ${fault?.seq}: ${fault?.kind}, ${fault?.detail}`];
  return { findings, links: rows.length };
}

/** Changes of state and the entry that each one has to have: SQL of `tenant_id`, `id`; action and type of resource. */
const changes: readonly (readonly [sql: string, action: string, type: string])[] = [
  ['select tenant_id, principal_id as id from principal', 'access.principal-created', 'principal'],
  ['select tenant_id, key_id as id from api_key', 'access.key-issued', 'api_key'],
  [
    'select tenant_id, publication_id as id from publication',
    'datasets.publication_requested',
    'publication',
  ],
  ['select tenant_id, snapshot_id as id from snapshot', 'datasets.published', 'snapshot'],
  ['select tenant_id, run_id as id from training_run', 'training.requested', 'training-run'],
  [
    `select tenant_id, run_id as id from training_run where state <> 'QUEUED'`,
    'training.admitted',
    'training-run',
  ],
  [
    `select tenant_id, model || '/' || version as id from model_version`,
    'registry.registered',
    'model-version',
  ],
  ['select tenant_id, evaluation_id as id from evaluation', 'evaluation.requested', 'evaluation'],
  [
    `select tenant_id, evaluation_id as id from evaluation where state = 'COMPLETED'`,
    'evaluation.completed',
    'evaluation',
  ],
  ['select tenant_id, approval_id as id from approval', 'approval.requested', 'approval'],
  ['select tenant_id, approval_id as id from approval_decision', 'approval.decided', 'approval'],
  [
    `select tenant_id, release_id as id from release where strategy <> 'rollback'`,
    'release.started',
    'release',
  ],
  [
    `select tenant_id, release_id as id from release where strategy = 'rollback'`,
    'release.rollback_requested',
    'release',
  ],
  [
    `select tenant_id, release_id as id from release where state = 'SUCCEEDED'`,
    'release.succeeded',
    'release',
  ],
  ['select tenant_id, kill_id as id from kill_switch', 'release.killed', 'kill-switch'],
  [
    `select tenant_id, kill_id as id from kill_switch where state = 'LIFTED'`,
    'release.kill_lifted',
    'kill-switch',
  ],
  ['select tenant_id, feedback_id as id from feedback', 'feedback.recorded', 'feedback'],
  [
    'select tenant_id, collection_id as id from etl_collection',
    'etl.collection-created',
    'collection',
  ],
  ['select tenant_id, source_id as id from etl_source', 'etl.source-created', 'source'],
];

async function judgeRows({ sql }: Evidence): Promise<{ findings: string[]; rows: number }> {
  const entries = await sql(`select tenant_id, entry from audit_entry`);
  const told = new Set<string>();
  const steps = new Map<string, number>();
  const count = (name: string) => steps.set(name, (steps.get(name) ?? 0) + 1);
  for (const row of entries) {
    // An entry that someone has broken is no entry; the chain says so.
    const entry = parsed(String(row['entry']));
    const { action = '', resource } = entry;
    const of = `${resource?.type ?? ''} ${resource?.id ?? ''}`;
    told.add(`${String(row['tenant_id'])} ${action} ${of}`);
    const seq = entry.after?.seq;
    if (resource?.type === 'release' && seq !== undefined)
      told.add(`${String(row['tenant_id'])} step ${resource.id ?? ''} ${seq}`);
    if (action === 'etl.changes-recorded') count(`${String(row['tenant_id'])} ${of}`);
  }
  const findings: string[] = [];
  let rows = 0;
  for (const [text, action, type] of changes)
    for (const row of await sql(text)) {
      rows += 1;
      const of = `${action} ${type} ${String(row['id'])}`;
      if (!told.has(`${String(row['tenant_id'])} ${of}`)) findings.push(`no entry ${of}`);
    }
  for (const row of await sql(
    'select tenant_id, release_id, seq from release_step where seq > 1',
  )) {
    rows += 1;
    const of = `${String(row['release_id'])} ${String(row['seq'])}`;
    if (!told.has(`${String(row['tenant_id'])} step ${of}`))
      findings.push(`no entry of release step ${of}`);
  }
  const unsealed = await sql('select leaf_id from audit_leaf where sealed_seq is null');
  for (const { leaf_id: id } of unsealed) findings.push(`leaf ${String(id)} is not sealed`);
  return { findings, rows };
}

interface Entry {
  action?: string;
  resource?: { type?: string; id?: string };
  after?: { seq?: number } | null;
}

const parsed = (text: string): Entry => {
  try {
    return JSON.parse(text) as Entry;
  } catch {
    return {};
  }
};

/** I3: the audit chain verifies without a gap, and every change of state has a row. */
export async function judgeAudit(evidence: Evidence): Promise<Judgement> {
  const findings: string[] = [];
  let links = 0;
  for (const tenant of [...evidence.setup.tenants, 'system']) {
    const chain = await verifyChain(evidence, tenant);
    findings.push(...chain.findings);
    links += chain.links;
  }
  const { findings: missing, rows } = await judgeRows(evidence);
  findings.push(...missing);
  return {
    id: 'I3',
    what: 'links of the audit chains, and changes of state that have their row in them',
    judged: links + rows,
    findings,
    note: `${links} links, ${rows} changes`,
  };
}
