import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import pg from 'pg';
import type { AnswerLine, CallLine, DriverLine, FaultLine, Operation } from './log-lines.js';

/** Where the traces of a run lie; all that the checker reads. */
export interface EvidenceSetup {
  /** Of a superuser; the checker's transactions are read only. */
  adminUrl: string;
  /** Absent where histories were kept already. */
  temporalAddress?: string | undefined;
  /** One line of JSON for each history. */
  historiesFile: string;
  bundle: string;
  driverLog: string;
  faultLog: string;
  ledgerFile: string;
  /** Files that the product writes and operators read. */
  logFiles: string[];
  /** Where the public half of the approval key lies. */
  keyFolder: string;
  tenants: string[];
}

export type Row = Record<string, unknown>;
export type Sql = (text: string, values?: unknown[]) => Promise<Row[]>;

/** All tries of one request. */
export interface Request {
  tenant: string;
  op: Operation;
  key: string;
  /** As Postgres keeps it, in hex. */
  keyHash: string;
  calls: CallLine[];
  answers: AnswerLine[];
}

export interface Evidence {
  setup: EvidenceSetup;
  lines: DriverLine[];
  requests: Request[];
  faults: FaultLine[];
  sql: Sql;
}

/** What the checker says of one invariant. */
export interface Judgement {
  id: string;
  what: string;
  /** Things that were looked at. */
  judged: number;
  findings: string[];
  /** Why it was not judged at all. */
  notApplicable?: string | undefined;
  /** What else was seen. */
  note?: string | undefined;
}

/** Whole lines of a file; a last one that a kill cut short does not count. */
function readLines<T>(file: string): T[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.slice(0, -1).map((line) => JSON.parse(line) as T);
}

function requestsOf(lines: readonly DriverLine[]): Request[] {
  const found = new Map<string, Request>();
  for (const line of lines) {
    if (line.line !== 'call' && line.line !== 'answer') continue;
    const { tenant, op, key } = line;
    const keyHash = createHash('sha256').update(`${tenant}\0${key}`).digest('hex');
    const request = found.get(key) ?? { tenant, op, key, keyHash, calls: [], answers: [] };
    found.set(key, request);
    if (line.line === 'call') request.calls.push(line);
    else request.answers.push(line);
  }
  return [...found.values()];
}

/** Whether an answer says that the request is taken. */
export const isAcknowledged = ({ status, isFinal }: AnswerLine): boolean =>
  (status >= 200 && status < 300) || isFinal === true;

/** Whether a try ended without saying what became of the request. */
export const isUnknown = ({ status, isFinal }: AnswerLine): boolean =>
  (status === 0 || status >= 500) && isFinal !== true;

/** Reads what there is, hands it to the judges, and lets go of the database. */
export async function withEvidence<T>(
  setup: EvidenceSetup,
  judge: (evidence: Evidence) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: setup.adminUrl });
  await client.connect();
  try {
    await client.query('set default_transaction_read_only = on');
    const lines = readLines<DriverLine>(setup.driverLog);
    return await judge({
      setup,
      lines,
      requests: requestsOf(lines),
      faults: readLines<FaultLine>(setup.faultLog),
      sql: async (text, values = []) => (await client.query<Row>(text, values)).rows,
    });
  } finally {
    await client.end();
  }
}
