import { canaryTexts } from '../../../src/domain/etl/canary.js';
import { readLedger } from '../../support/servers/embedding-provider.js';
import { createHash } from 'node:crypto';
import {
  isAcknowledged,
  isUnknown,
  type Evidence,
  type Judgement,
  type Request,
  type Row,
} from './evidence.js';
import type { Operation } from './log-lines.js';

// I1 and I2: what became of every request, and how often.

/** Where the effect of a request lies, and which of its states are ends; undefined: every row is one. */
interface Effect {
  table: string;
  column: string;
  /** Operations that make such a row. */
  by: readonly Operation[];
  open?: readonly string[];
}

const effects: readonly Effect[] = [
  {
    table: 'inference',
    column: 'inference_id',
    by: ['infer'],
    open: ['ACCEPTED', 'RUNNING', 'WAITING'],
  },
  {
    table: 'publication',
    column: 'publication_id',
    by: ['publish'],
    open: ['RECEIVED', 'PROFILING', 'VALIDATING', 'FILTERING_CONSENT', 'REDACTING', 'STAGED'],
  },
  {
    table: 'training_run',
    column: 'run_id',
    by: ['train'],
    open: ['QUEUED', 'ADMITTED', 'RUNNING', 'EVALUATING_HOLDOUT', 'PACKAGING'],
  },
  { table: 'evaluation', column: 'evaluation_id', by: ['evaluate'], open: ['QUEUED', 'RUNNING'] },
  {
    table: 'approval',
    column: 'approval_id',
    by: ['ask-approval'],
    open: ['PENDING', 'PARTIAL'],
  },
  {
    table: 'release',
    column: 'release_id',
    by: ['release', 'rollback'],
    open: [
      ...['PREFLIGHT', 'WARMING', 'SHADOWING', 'SHIFTING', 'BAKING', 'ANALYSING', 'PAUSED'],
      ...['PROMOTING', 'VERIFYING', 'BAKING_LABELS', 'ROLLING_BACK'],
    ],
  },
  { table: 'kill_switch', column: 'kill_id', by: ['kill'] },
  { table: 'feedback', column: 'feedback_id', by: ['feedback'] },
  {
    table: 'etl_change_event',
    column: 'change_id',
    by: ['document'],
    open: ['PENDING', 'CLAIMED'],
  },
];

/** States that end the thing a person decided about. */
const decided: Partial<Record<Operation, { table: string; column: string; state: string }>> = {
  approve: { table: 'approval', column: 'approval_id', state: 'APPROVED' },
  lift: { table: 'kill_switch', column: 'kill_id', state: 'LIFTED' },
};

const idsOf = (request: Request): string[] => [
  ...new Set(request.answers.filter(isAcknowledged).flatMap(({ id }) => id ?? [])),
];

type States = Map<string, string>;

async function statesOf({ sql }: Evidence, of: { table: string; column: string }): Promise<States> {
  const state = of.table === 'feedback' ? `'RECORDED'` : 'state';
  const rows = await sql(
    `select tenant_id, ${of.column} as id, ${state} as state from ${of.table}`,
  );
  return new Map(
    rows.map((row) => [`${String(row['tenant_id'])} ${String(row['id'])}`, String(row['state'])]),
  );
}

/** One acknowledged request that has no effect, or one that never ends. */
function judgeRequest(
  request: Request,
  of: { states: States; open: readonly string[]; wanted?: string | undefined },
): string[] {
  const ids = idsOf(request);
  const { tenant, op, key } = request;
  if (ids.length === 0) return [`${op} ${key} was acknowledged without an id`];
  if (ids.length > 1) return [`${op} ${key} was acknowledged as ${ids.join(' and ')}`];
  return ids.flatMap((id) => {
    const state = of.states.get(`${tenant} ${id}`);
    if (state === undefined) return [`${op} ${id} was acknowledged and is not there`];
    if (of.open.includes(state)) return [`${op} ${id} was acknowledged and is still ${state}`];
    if (of.wanted !== undefined && state !== of.wanted)
      return [`${op} ${id} was acknowledged and is ${state} instead of ${of.wanted}`];
    return [];
  });
}

/** An inference that was told to have ended in more than one way, or otherwise than its row. */
function judgeEnds(evidence: Evidence, inferences: States): string[] {
  const told = new Map<string, Set<string>>();
  for (const line of evidence.lines) {
    if (line.line !== 'look' && line.line !== 'answer') continue;
    const { id, state, op } = line;
    if (op !== 'infer' || id === undefined || state === undefined) continue;
    if (['ACCEPTED', 'RUNNING', 'WAITING'].includes(state)) continue;
    const name = `${line.tenant} ${id}`;
    told.set(name, (told.get(name) ?? new Set()).add(state));
  }
  return [...told].flatMap(([name, states]) => {
    const stored = inferences.get(name);
    return states.size === 1 && (stored === undefined || states.has(stored))
      ? []
      : [`infer ${name} was told to be ${[...states].join(' and ')} and is ${stored}`];
  });
}

/** I1: every acknowledged request reaches exactly one terminal state. */
export async function judgeEndings(evidence: Evidence): Promise<Judgement> {
  const findings: string[] = [];
  let judged = 0;
  const acknowledged = evidence.requests.filter(({ answers }) => answers.some(isAcknowledged));
  for (const effect of effects) {
    const states = await statesOf(evidence, effect);
    const own = acknowledged.filter(({ op }) => effect.by.includes(op));
    judged += own.length;
    for (const request of own)
      findings.push(...judgeRequest(request, { states, open: effect.open ?? [] }));
    if (effect.table === 'inference') findings.push(...judgeEnds(evidence, states));
  }
  for (const [op, of] of Object.entries(decided)) {
    const states = await statesOf(evidence, of);
    const own = acknowledged.filter((request) => request.op === op);
    judged += own.length;
    for (const request of own)
      findings.push(...judgeRequest(request, { states, open: [], wanted: of.state }));
  }
  const gaveUp = evidence.lines.filter(({ line }) => line === 'failed').length;
  return {
    id: 'I1',
    what: 'acknowledged requests that reach exactly one terminal state',
    judged,
    findings,
    note: `${gaveUp} steps of people ended with a refusal`,
  };
}

/** Rows of a kind that exist more or less often than one request asked for them. */
async function judgeEffect(
  { sql, requests }: Evidence,
  effect: Effect,
): Promise<{ findings: string[]; rows: number }> {
  const rows = await sql(`select tenant_id, ${effect.column} as id from ${effect.table}`);
  const stored = await sql(`select tenant_id, encode(key_hash, 'hex') as key_hash,
      coalesce(response->>'id', response->>'feedbackId', response->>'changeToken') as id from idempotency`);
  const asked = new Set(
    requests.filter(({ op }) => effect.by.includes(op)).map(({ keyHash }) => keyHash),
  );
  const keys = new Map<string, number>();
  for (const row of stored)
    if (asked.has(String(row['key_hash']))) {
      const name = `${String(row['tenant_id'])} ${String(row['id'])}`;
      keys.set(name, (keys.get(name) ?? 0) + 1);
    }
  const findings = rows.flatMap((row) => {
    const count = keys.get(`${String(row['tenant_id'])} ${String(row['id'])}`) ?? 0;
    return count === 1
      ? []
      : [`${effect.table} ${String(row['id'])} has ${count} requests that asked for it`];
  });
  return { findings, rows: rows.length };
}

/** Rows that there is one of for each inference that ended. */
const oncePerInference = [
  [`decision row`, `select tenant_id, decision_id as id from decision`],
  [`audit leaf`, `select tenant_id, leaf_id as id from audit_leaf where kind = 'decision'`],
  [
    `event`,
    `select tenant_id, subject as id from outbox where type = 'anneal.inference.settled.v1'`,
  ],
] as const;

async function judgeDecisions({ sql }: Evidence): Promise<string[]> {
  const findings: string[] = [];
  for (const [name, rows] of oncePerInference) {
    const found = await sql(`with rows as (${rows}), counted as (
        select tenant_id, id, count(*)::int as n from rows group by 1, 2)
      select coalesce(c.id, i.inference_id) as id, coalesce(c.n, 0) as n from counted c
      full join (select * from inference where settled_at is not null) i on i.tenant_id = c.tenant_id and i.inference_id = c.id
      where i.inference_id is null or c.n is distinct from 1`);
    for (const { id, n } of found)
      findings.push(`inference ${String(id)} has ${String(n)} ${name}s`);
  }
  const unequal = await sql(`select d.decision_id as id from decision d join inference i
    on i.tenant_id = d.tenant_id and i.inference_id = d.decision_id and i.state <> d.state`);
  for (const { id } of unequal) findings.push(`decision ${String(id)} names another end`);
  return findings;
}

/** The provider's books: a text is paid for again only where a fault fell between the two payments. */
function judgeBooks({ setup, lines, faults }: Evidence): {
  findings: string[];
  paid: number;
  again: number;
} {
  const apart = new Set(canaryTexts.map((text) => createHash('sha256').update(text).digest('hex')));
  for (const line of lines) if (line.line === 'question') apart.add(line.digest);
  const paid = new Map<string, number[]>();
  for (const { at, inputs } of readLedger(setup.ledgerFile))
    for (const digest of inputs)
      if (!apart.has(digest)) paid.set(digest, [...(paid.get(digest) ?? []), Date.parse(at)]);
  const starts = faults.filter(({ phase }) => phase === 'begin').map(({ at }) => at);
  const findings: string[] = [];
  let again = 0;
  for (const [digest, times] of paid)
    for (const [place, at] of times.entries()) {
      const before = times[place - 1];
      if (before === undefined) continue;
      again += 1;
      // A worker that was stopped or cut off asks again some time after the fault began.
      const explained = starts.some((begin) => begin >= before - LATE_MS && begin <= at);
      if (!explained)
        findings.push(`text ${digest.slice(0, 12)} was paid for twice without a fault`);
    }
  return { findings, paid: paid.size, again };
}

/** How long before a payment the fault may have begun that makes it to be repeated. */
const LATE_MS = 20_000;

/** I2: one effect per key, by the tables and by the provider's own books, and one decision row per inference. */
export async function judgeEffects(evidence: Evidence): Promise<Judgement> {
  const findings: string[] = [];
  let judged = 0;
  for (const effect of effects) {
    const of = await judgeEffect(evidence, effect);
    findings.push(...of.findings);
    judged += of.rows;
  }
  findings.push(...(await judgeDecisions(evidence)));
  const versions = await evidence.sql(
    `select run_id as id, count(*)::int as n from model_version where run_id is not null group by tenant_id, run_id having count(*) > 1`,
  );
  for (const { id, n } of versions)
    findings.push(`training ${String(id)} made ${String(n)} versions`);
  const books = judgeBooks(evidence);
  findings.push(...books.findings);
  return {
    id: 'I2',
    what: 'effects that exactly one request asked for, and texts paid for once',
    judged: judged + books.paid,
    findings,
    note: `${books.paid} texts were paid for; ${books.again} again after a fault in between`,
  };
}

/** A request whose caller saw an error or nothing, and whose effect is there all the same. */
export interface Ambiguous {
  key: string;
  op: Operation;
  /** When the caller was left without knowing. */
  at: number;
}

/**
 * Every request of which a try ended without an answer, and whose effect had been committed before the try that was
 * answered was sent, by the clock of the database on the same machine.
 */
export async function findAmbiguous({ sql, requests }: Evidence): Promise<Ambiguous[]> {
  const rows = await sql(`select encode(key_hash, 'hex') as key_hash,
    extract(epoch from created_at) * 1000 as at from idempotency where status > 0`);
  const committed = new Map(rows.map((row: Row) => [String(row['key_hash']), Number(row['at'])]));
  return requests.flatMap((request) => {
    const at = committed.get(request.keyHash);
    if (at === undefined) return [];
    const unknown = request.answers.filter(isUnknown);
    const answered = request.answers.find(isAcknowledged);
    const sent = request.calls.find(({ attempt }) => attempt === answered?.attempt)?.at;
    const before = unknown.findLast((answer) => {
      const call = request.calls.find(({ attempt }) => attempt === answer.attempt);
      return call !== undefined && call.at <= at + 1;
    });
    if (before === undefined || (sent !== undefined && sent <= at)) return [];
    return [{ key: request.key, op: request.op, at: before.at }];
  });
}
