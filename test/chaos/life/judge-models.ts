import { createApprovalVerifier } from '../../../src/adapters/secrets/approval-signature.js';
import { createFileSecrets } from '../../../src/adapters/secrets/file-provider.js';
import { verifyDecisions } from '../../../src/domain/approval/verify-decisions.js';
import { legalMoves } from '../../../src/domain/release/transitions.js';
import type { Evidence, Judgement, Row } from './evidence.js';
import type { Operation } from './log-lines.js';

// I4 and I5: which version is active and by whose leave, and how everything got to where it is.

/** Why a version may not have been active at a time; undefined where people had signed for it. */
async function whyUnapproved(
  { sql, setup }: Evidence,
  of: { tenant: string; env: string; model: string; version: number; at: Date },
): Promise<string | undefined> {
  const approvals = await sql(
    `select approval_id, subject_digest, required, requested_by, closed_at from approval
     where tenant_id = $1 and env = $2 and model = $3 and version = $4 and state = 'APPROVED'`,
    [of.tenant, of.env, of.model, of.version],
  );
  if (approvals.length === 0) return 'no approval was given';
  const isSigned = createApprovalVerifier(createFileSecrets(setup.keyFolder));
  const reasons: string[] = [];
  for (const approval of approvals) {
    const rows = await sql(
      `select decision_id, principal_id, payload, signature, key_id, nonce from approval_decision
       where tenant_id = $1 and approval_id = $2`,
      [of.tenant, approval['approval_id']],
    );
    const decisions = rows.map((row) => ({
      decisionId: String(row['decision_id']),
      principalId: String(row['principal_id']),
      payload: String(row['payload']),
      signature: row['signature'] as Uint8Array,
      keyId: String(row['key_id']),
      nonce: String(row['nonce']),
    }));
    const verified = await verifyDecisions(
      decisions,
      {
        tenant: of.tenant,
        approvalId: String(approval['approval_id']),
        subjectDigest: String(approval['subject_digest']),
        required: Number(approval['required']),
      },
      isSigned,
    );
    if (!verified.ok) reasons.push(verified.reason);
    else if (verified.state !== 'APPROVED') reasons.push('the signatures do not make a quorum');
    else if (decisions.some(({ principalId }) => principalId === approval['requested_by']))
      reasons.push('who asked has approved');
    else if ((approval['closed_at'] as Date) > of.at) reasons.push('it was approved afterwards');
    else return undefined;
  }
  return reasons.join('; ');
}

async function judgeActive({ sql }: Evidence): Promise<{ findings: string[]; targets: number }> {
  const targets = await sql(`select r.tenant_id, r.env, r.name, r.active,
      (select array_agg(d.version order by d.version) from deployment d where d.tenant_id = r.tenant_id and d.env = r.env
        and d.model = r.name and d.state = 'ACTIVE') as versions,
      (select v.assurance from model_version v where v.tenant_id = r.tenant_id and v.model = r.name
        and v.version = r.active) as assurance
    from routing r where r.kind = 'model'`);
  const findings = targets.flatMap((row) => {
    const versions = (row['versions'] ?? []) as number[];
    const name = `${String(row['tenant_id'])}/${String(row['env'])}/${String(row['name'])}`;
    const active = row['active'] as number | null;
    if (active === null && versions.length === 0) return [];
    if (versions.length !== 1 || versions[0] !== active)
      return [`${name} routes to ${active} and has active ${versions.join(', ') || 'none'}`];
    return row['assurance'] === 'APPROVED'
      ? []
      : [`${name} is version ${active}, which is ${String(row['assurance'])}`];
  });
  return { findings, targets: targets.length };
}

/** I4: exactly one active version per target, none before the first, each of them approved before it became active. */
export async function judgeActiveVersions(evidence: Evidence): Promise<Judgement> {
  const { findings, targets } = await judgeActive(evidence);
  const history = await evidence.sql(
    `select tenant_id, env, name, epoch, at, (document->>'active')::int as active from routing_history
     where kind = 'model' order by tenant_id, env, name, epoch`,
  );
  const before = new Map<string, unknown>();
  for (const row of history) {
    const name = `${String(row['tenant_id'])}/${String(row['env'])}/${String(row['name'])}`;
    const active = row['active'] as number | null;
    const moved = before.get(name) !== active;
    before.set(name, active);
    if (active === null || !moved) continue;
    const why = await whyUnapproved(evidence, {
      tenant: String(row['tenant_id']),
      env: String(row['env']),
      model: String(row['name']),
      version: active,
      at: row['at'] as Date,
    });
    if (why !== undefined)
      findings.push(`${name} moved to version ${active} in epoch ${String(row['epoch'])}: ${why}`);
  }
  return {
    id: 'I4',
    what: 'pointers, now and in every epoch: one active version, and people had signed for it',
    judged: targets + history.length,
    findings,
  };
}

/** Ranks of what only goes forward; equal ranks exclude each other. */
const order: Partial<Record<Operation, readonly (readonly string[])[]>> = {
  infer: [
    ['ACCEPTED'],
    ['RUNNING', 'WAITING'],
    ['SUCCEEDED', 'BLOCKED', 'TRUNCATED', 'FAILED', 'CANCELLED', 'EXPIRED', 'LOST'],
  ],
  publish: [
    ['RECEIVED'],
    ['PROFILING'],
    ['VALIDATING'],
    ['STAGED'],
    ['PUBLISHED', 'QUARANTINED', 'DISCARDED', 'FAILED', 'CANCELLED'],
  ],
  train: [
    ['QUEUED'],
    ['ADMITTED'],
    ['RUNNING'],
    ['EVALUATING_HOLDOUT'],
    ['PACKAGING'],
    ['REGISTERED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED', 'REJECTED_INPUT'],
  ],
  evaluate: [['QUEUED'], ['RUNNING'], ['COMPLETED', 'FAILED', 'CANCELLED']],
};

/** What callers saw one after the other. */
function judgeSeen({ lines }: Evidence): { findings: string[]; seen: number } {
  const last = new Map<string, { rank: number; state: string }>();
  const findings: string[] = [];
  let seen = 0;
  for (const line of lines) {
    if (line.line !== 'look') continue;
    const ranks = order[line.op];
    if (ranks === undefined) continue;
    seen += 1;
    const rank = ranks.findIndex((states) => states.includes(line.state));
    const before = last.get(line.id);
    // A training run that another worker takes over is seen RUNNING again, and that is one stage.
    const back =
      before !== undefined &&
      (rank < before.rank ||
        (rank === before.rank && before.state !== line.state && rank === ranks.length - 1));
    if (rank < 0 || back)
      findings.push(`${line.op} ${line.id} was seen ${line.state} after ${before?.state}`);
    last.set(line.id, { rank, state: line.state });
  }
  return { findings, seen };
}

function judgeSteps(steps: readonly Row[]): string[] {
  const findings: string[] = [];
  let before: Row | undefined;
  for (const step of steps) {
    const id = String(step['release_id']);
    const state = String(step['state']);
    const same = before?.['release_id'] === step['release_id'];
    const from = same ? String(before?.['state']) : undefined;
    const seq = Number(step['seq']);
    if (seq !== (same ? Number(before?.['seq']) + 1 : 1))
      findings.push(`release ${id} has a gap at ${seq}`);
    if (from === undefined && state !== 'PREFLIGHT') findings.push(`release ${id} begins ${state}`);
    // A command or a figure that is kept may repeat a state; only a move has to be legal.
    const allowed: readonly string[] =
      from === undefined ? [] : (legalMoves[from as keyof typeof legalMoves] ?? []);
    if (from !== undefined && from !== state && !allowed.includes(state))
      findings.push(`release ${id} went from ${from} to ${state}`);
    before = step;
  }
  return findings;
}

/** Facts that contradict each other: an end without its time, a time without an end. */
const contradictions: readonly (readonly [string, string])[] = [
  [
    'training run',
    `select run_id as id, state from training_run
     where (ended_at is null) <> (state in ('QUEUED','ADMITTED','RUNNING','EVALUATING_HOLDOUT','PACKAGING'))
       or (state = 'REGISTERED') <> (version is not null)`,
  ],
  [
    'release',
    `select release_id as id, state from release
     where (ended_at is null) <> (state not in ('SUCCEEDED','ROLLED_BACK','ABORTED','SUPERSEDED'))`,
  ],
  [
    'release',
    `select r.release_id as id, r.state from release r where r.state <> (select s.state from release_step s
       where s.tenant_id = r.tenant_id and s.release_id = r.release_id order by s.seq desc limit 1)`,
  ],
  [
    'inference',
    `select inference_id as id, state from inference
     where (settled_at is null) <> (state in ('ACCEPTED','RUNNING','WAITING'))`,
  ],
  [
    'approval',
    `select approval_id as id, state from approval where (closed_at is null) <> (state in ('PENDING','PARTIAL'))`,
  ],
  [
    'routing history',
    `select name as id, 'epoch ' || epoch as state from (select *, lag(epoch, 1, 0) over w as before,
       lag(at) over w as since from routing_history window w as (partition by tenant_id, env, kind, name order by epoch)) h
     where epoch <> before + 1 or at < since`,
  ],
];

/** I5: no illegal transition, by the rows of every step and by what callers saw. */
export async function judgeTransitions(evidence: Evidence): Promise<Judgement> {
  const steps = await evidence.sql(
    'select release_id, seq, state from release_step order by tenant_id, release_id, seq',
  );
  const { findings, seen } = judgeSeen(evidence);
  findings.push(...judgeSteps(steps));
  for (const [what, text] of contradictions)
    for (const { id, state } of await evidence.sql(text))
      // A run without an end is no transition; I1 and I9 judge it.
      findings.push(
        `${what} ${String(id)} is ${String(state)} and its other columns say otherwise`,
      );
  return {
    id: 'I5',
    what: 'steps of releases, epochs of pointers, and states that callers saw in turn',
    judged: steps.length + seen,
    findings,
  };
}
