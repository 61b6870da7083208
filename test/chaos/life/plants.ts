import { createHash } from 'node:crypto';
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EvidenceSetup } from './evidence.js';
import type { AnswerLine, CallLine, DriverLine } from './log-lines.js';

// Bugs that the checker has to see, each planted into a copy of everything that a clean run has left behind.

/** A copy of a run's traces that a bug may be planted into. */
export interface Copy {
  setup: EvidenceSetup;
  /** SQL as superuser on the copied database, past triggers and foreign keys. */
  sql: (text: string) => Promise<number>;
  folder: string;
  /** The first and the second tenant. */
  tenants: readonly [string, string];
}

interface Plant {
  /** The invariant that has to be named, and no other. */
  breaks: string;
  plant: (copy: Copy) => Promise<EvidenceSetup>;
}

/** A change of the database. @throws where it changed nothing, for then nothing is planted */
const inDatabase =
  (...statements: ((copy: Copy) => string)[]) =>
  async (copy: Copy): Promise<EvidenceSetup> => {
    let changed = 0;
    for (const statement of statements) changed = await copy.sql(statement(copy));
    if (changed === 0) throw new Error('nothing was planted');
    return copy.setup;
  };

/** A file with another text, beside the one it replaces. */
function rewritten(copy: Copy, file: string, change: (text: string) => string): string {
  const target = join(copy.folder, file.split('/').at(-1) ?? '');
  const text = readFileSync(file, 'utf8');
  const changed = change(text);
  if (changed === text) throw new Error('nothing was planted');
  writeFileSync(target, changed);
  return target;
}

/** The driver was told that a request is taken, and nobody knows it. */
const lostAcknowledgement = async (copy: Copy): Promise<EvidenceSetup> => {
  const tenant = copy.tenants[0];
  const head = { at: Date.now(), tenant, op: 'infer', key: 'planted', attempt: 1 } as const;
  const call: CallLine = { line: 'call', ...head };
  const id = 'inf_01AAAAAAAAAAAAAAAAAAAAAAAA';
  const answer: AnswerLine = { line: 'answer', ...head, status: 202, id, state: 'ACCEPTED' };
  const lines: DriverLine[] = [call, answer];
  const driverLog = rewritten(
    copy,
    copy.setup.driverLog,
    (text) => `${text}${lines.map((line) => `${JSON.stringify(line)}\n`).join('')}`,
  );
  return { ...copy.setup, driverLog };
};

const textOfThePlant = createHash('sha256').update('a text of the plant').digest('hex');

/** The provider was paid for a text twice, and nothing had failed in between: both an hour after the last fault. */
const doubleCharge = async (copy: Copy): Promise<EvidenceSetup> => {
  const ledgerFile = rewritten(copy, copy.setup.ledgerFile, (text) => {
    const paid = text.split('\n').findLast((line) => line.includes('"inputs"')) ?? '{}';
    const of = { ...(JSON.parse(paid) as object), inputs: [textOfThePlant] };
    const again = [3_600_000, 3_660_000].map((ms) => new Date(Date.now() + ms).toISOString());
    return text + again.map((at) => `${JSON.stringify({ ...of, at })}\n`).join('');
  });
  return { ...copy.setup, ledgerFile };
};

const canaryInALog = async (copy: Copy): Promise<EvidenceSetup> => {
  const [first = '', ...others] = copy.setup.logFiles;
  const text = `{"level":"info","msg":"request","subject":"canary-${copy.tenants[0]}-1-1-xq"}\n`;
  return { ...copy.setup, logFiles: [rewritten(copy, first, (log) => log + text), ...others] };
};

/** A build whose workflows ask for another activity than those that wrote the histories. */
const nondeterministicHistory = async (copy: Copy): Promise<EvidenceSetup> => {
  const { bundle } = copy.setup;
  const changed = rewritten(copy, bundle, (code) =>
    code.replaceAll('publishRows', 'publishOtherRows'),
  );
  const beside = (file: string) => file.replace(/\.js$/, '.inference.js');
  copyFileSync(beside(bundle), beside(changed));
  appendFileSync(changed, '\n');
  return { ...copy.setup, bundle: changed };
};

export const plants: Readonly<Record<string, Plant>> = {
  'lost acknowledgement': { breaks: 'I1', plant: lostAcknowledgement },
  'never-terminal run': {
    breaks: 'I1',
    plant: inDatabase(
      () => `update training_run set state = 'RUNNING', ended_at = null, version = null
        where run_id = (select min(run_id) from training_run where state = 'REGISTERED')`,
    ),
  },
  'duplicate decision row': {
    breaks: 'I2',
    plant: inDatabase(
      () => `alter table decision drop constraint decision_pkey`,
      () => `insert into decision select * from decision
        where decision_id = (select min(decision_id) from decision)`,
    ),
  },
  'double charge': { breaks: 'I2', plant: doubleCharge },
  'missing audit row': {
    breaks: 'I3',
    plant: inDatabase(
      ({ tenants }) => `insert into principal (tenant_id, principal_id, kind, name, roles)
        values ('${tenants[0]}', 'prn_01AAAAAAAAAAAAAAAAAAAAAAAA', 'person', 'nobody saw', '{approver}')`,
    ),
  },
  'broken chain link': {
    breaks: 'I3',
    plant: inDatabase(
      ({
        tenants,
      }) => `update audit_entry set entry = replace(entry, '"action":"', '"action":"not.')
        where tenant_id = '${tenants[0]}' and entry like '%"etl.committed"%'
          and seq = (select min(seq) from audit_entry where tenant_id = '${tenants[0]}' and entry like '%"etl.committed"%')`,
    ),
  },
  'two active versions': {
    breaks: 'I4',
    plant: inDatabase(
      () => `do $$ declare i record; begin
          for i in select indexrelid::regclass as name from pg_index
            where indrelid = 'deployment'::regclass and indisunique and not indisprimary loop
            execute 'drop index ' || i.name; end loop; end $$`,
      ({
        tenants,
      }) => `update deployment set state = 'ACTIVE' where tenant_id = '${tenants[0]}' and state <> 'ACTIVE'
        and version = (select min(version) from deployment where tenant_id = '${tenants[0]}' and state <> 'ACTIVE')`,
    ),
  },
  'unapproved promotion': {
    breaks: 'I4',
    plant: inDatabase(
      ({ tenants }) => `delete from approval_decision d using approval a, routing r
        where d.tenant_id = '${tenants[0]}' and a.tenant_id = d.tenant_id and a.approval_id = d.approval_id
          and r.tenant_id = a.tenant_id and r.name = a.model and r.active = a.version`,
    ),
  },
  'illegal transition': {
    breaks: 'I5',
    plant: inDatabase(
      () => `update release_step set state = 'BAKING_LABELS' where (tenant_id, release_id, seq) =
        (select tenant_id, release_id, seq from release_step where state = 'PROMOTING' order by 1, 2 limit 1)`,
    ),
  },
  'cross-tenant row': {
    breaks: 'I6',
    plant: inDatabase(
      ({ tenants }) => `update training_log set tenant_id = '${tenants[1]}'
        where tenant_id = '${tenants[0]}' and seq = 1`,
    ),
  },
  'canary in a log': { breaks: 'I7', plant: canaryInALog },
  'lost outbox intent': {
    breaks: 'I9',
    plant: inDatabase(
      () => `insert into intent select tenant_id, 'training/' || tenant_id || '/trn_nobody', workflow_type, task_queue,
          input, input_digest, options, created_at, due_at, null, null
        from intent where workflow_type = 'trainModel' order by created_at limit 1`,
    ),
  },
  'non-deterministic history': { breaks: 'I10', plant: nondeterministicHistory },
};
export const plantNames = Object.keys(plants);
