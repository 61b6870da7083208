import { randomUUID } from 'node:crypto';
import {
  appendFile,
  cp,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readManifest } from '../../src/adapters/backup/manifest-file.js';
import { readWalPath } from '../../src/adapters/backup/wal-archive.js';
import { createCheckpointFile } from '../../src/adapters/checkpoint-file/checkpoint-file.js';
import { loadConfig } from '../../src/config.js';
import type {
  BackupCreated,
  BackupRestored,
  BackupVerified,
} from '../../src/domain/backup/contract.js';
import { readFileKeys } from '../../src/main/backup-keys.js';
import { chooseBackup } from '../../src/main/backup.js';
import { tourPlan, tourShadow } from '../../src/main/tour-model.js';
import type { People } from '../../src/main/tour-people.js';
import { sha256Hex } from '../../src/domain/digest.js';
import { eventually } from '../support/eventually.js';
import { runAnneal } from '../support/run-anneal.js';
import { freshStackEnv, startStack, type Stack } from '../support/stack.js';
import {
  approve,
  askForApproval,
  followTraining,
  loanQuestions,
  prepareLoanModel,
  releaseFirstVersion,
  startTraining,
  type LoanModel,
} from './loan-model.js';

// Two stores never share one point in time. One drill sets Postgres back while Temporal stays, another empties Temporal
// while Postgres stays; after each nothing is left unexplained and nothing was done twice. The last loses the node: of the
// state folder nothing is left, and a write is lost only where it is younger than the RPO.

/** A version beside one that serves is approved with a shadow stage alone. */
const plan = { ...tourPlan, shadow: tourShadow };

let stack: Stack;
let people: People;
let model: LoanModel;
let questions: AsyncGenerator<object>;
let backupDir: string;
/** What people keep apart from the backups. */
let kept: string;

beforeAll(async () => {
  backupDir = await mkdtemp(join(tmpdir(), 'anneal-backups-'));
  kept = await mkdtemp(join(tmpdir(), 'anneal-kept-'));
  stack = await startStack({ ...(await freshStackEnv()), ANNEAL_BACKUP_DIR: backupDir });
  people = await stack.people();
  model = await prepareLoanModel(people, 'drill');
  await releaseFirstVersion(people, model);
  questions = loanQuestions(model.name);
}, 600_000);
afterAll(async () => {
  await stack.close();
  for (const folder of [backupDir, kept]) await rm(folder, { recursive: true, force: true });
}, 120_000);

const anneal = (...args: string[]) => runAnneal(stack.env, ...args);

interface Asked {
  key: string;
  question: object;
  id: string;
  status: string;
}

/** Asks under a key, once. */
async function ask(key: string, question: object): Promise<Asked> {
  const reply = await fetch(`${stack.baseUrl}/v1/inferences`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await stack.keyOf('service')}`,
      'idempotency-key': key,
      'content-type': 'application/json',
      prefer: 'wait=20',
    },
    body: JSON.stringify(question),
  });
  const body = (await reply.json()) as Record<string, unknown>;
  return { key, question, id: String(body['id']), status: String(body['status']) };
}

async function askMany(count: number): Promise<Asked[]> {
  const asked: Asked[] = [];
  for (let n = 0; n < count; n++)
    asked.push(await ask(randomUUID(), (await questions.next()).value as object));
  expect(new Set(asked.map(({ status }) => status))).toEqual(new Set(['SUCCEEDED']));
  return asked;
}

/** Answered questions and when they were: writes that a lost node may take along only where they are young. */
const written: { id: string; atMs: number }[] = [];

async function write(count: number): Promise<void> {
  for (const { id } of await askMany(count)) written.push({ id, atMs: Date.now() });
}

const decisionsOf = async (asked: Asked[]): Promise<number[]> => {
  const rows = await stack.sql(
    `select decision_id, count(*)::int as n from decision where decision_id = any($1) group by 1`,
    [asked.map(({ id }) => id)],
  );
  return rows.map(({ n }) => Number(n));
};

const divergences = () =>
  stack.sql(
    `select kind, action, state, workflow_id, workflow_type, detail from divergence order by divergence_id`,
  );

/** Runs under way that no intent asks for, and open work without a run: both read from outside. */
async function unexplained(): Promise<string[]> {
  const temporal = await stack.temporal();
  const running: string[] = [];
  for await (const run of temporal.workflow.list({ query: `ExecutionStatus = 'Running'` }))
    if (run.type !== 'startDueWork') running.push(run.workflowId);
  const intents = await stack.sql('select workflow_id from intent');
  const known = new Set(intents.map(({ workflow_id: id }) => String(id)));
  const open = await stack.sql(
    `select workflow_id as id from inference where settled_at is null
     union all select 'training/default/' || run_id from training_run where ended_at is null
     union all select 'evaluation/default/' || evaluation_id from evaluation where ended_at is null
     union all select 'approval/default/' || approval_id from approval where closed_at is null
     union all select 'release/default/' || release_id from release where ended_at is null`,
  );
  return [
    ...running.filter((id) => !known.has(id)).map((id) => `orphan ${id}`),
    ...open
      .map(({ id }) => String(id))
      .filter((id) => !running.includes(id))
      .map((id) => `no run of ${id}`),
  ];
}

/** The reconciler looks once a minute, and not at what is younger than ten seconds. */
const explained = () =>
  eventually(async () => expect(await unexplained()).toEqual([]), {
    timeoutMs: 150_000,
    everyMs: 250,
  });

/** The newest entry of the chain of tenant `default`. */
const lastSeq = async (): Promise<number> =>
  Number(
    (await stack.sql("select max(seq) as n from audit_entry where tenant_id = 'default'"))[0]?.[
      'n'
    ],
  );

async function startAgain(): Promise<void> {
  stack = await startStack(stack.env);
  people = await stack.people();
}

describe('Postgres set back to an earlier point, Temporal untouched', () => {
  let made: BackupCreated;
  let approvalId: string;

  it('[F31, I2, I3, I4] lists what was lost, stops what nothing asks for, starts again what is open, repeats no effect', async () => {
    const before = await askMany(4);
    const backup = await anneal('backup', 'create');
    expect({ code: backup.code, said: backup.err }).toMatchObject({ code: 0 });
    made = JSON.parse(backup.out) as BackupCreated;
    const intact = await anneal('backup', 'verify', made.folder);
    expect(JSON.parse(intact.out) as BackupVerified).toMatchObject({ status: 'intact' });

    const kept = await askMany(4);
    approvalId = await askForApproval(people, model, { version: 1, plan });
    const [point] = await stack.sql('select clock_timestamp() as at');
    // Dates have milliseconds; nothing is written within the next one.
    const at = new Date((point?.['at'] as Date).getTime() + 1);
    const keptSeq = await lastSeq();

    const lost = await askMany(4);
    await approve(people, approvalId);
    await people.approver.follow(`/v1/approvals/${approvalId}`, ['APPROVED'], 60_000);
    // What no checkpoint has witnessed is lost without a trace: the next one comes within a minute.
    const witness = createCheckpointFile(join(stack.stateDir, 'audit', 'checkpoints'));
    await eventually(
      async () => {
        const sizes = (await witness.read())
          .filter(({ tenant }) => tenant === 'default')
          .map(({ size }) => size);
        expect(Math.max(0, ...sizes)).toBeGreaterThan(keptSeq);
      },
      { timeoutMs: 90_000, everyMs: 500 },
    );
    // Last, so that it is still under way when everything stops.
    const orphan = await startTraining(people, model, {
      kind: 'gbt',
      params: { trees: 800, depth: 6 },
    });
    await people.engineer.follow(`/v1/training-runs/${orphan}`, ['RUNNING'], 60_000);
    // Running, it is not restored.
    const refused = await anneal('backup', 'restore', made.folder, '--in-place', '--replace');
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.err).toContain('stop it first');
    await stack.close({ keep: true });
    const holds = await anneal('backup', 'restore', made.folder, '--in-place');
    expect(holds.err).toContain('--replace');

    const since = performance.now();
    const restore = await anneal(
      ...['backup', 'restore', made.folder, '--in-place', '--replace', '--at', at.toISOString()],
    );
    expect({ code: restore.code, said: restore.err }).toMatchObject({ code: 0 });
    const restored = JSON.parse(restore.out) as BackupRestored;
    await startAgain();
    const rtoSeconds = (performance.now() - since) / 1_000;
    const rpoSeconds = (at.getTime() - Date.parse(restored.recoveredTo)) / 1_000;
    process.stdout.write(
      `restore drill: Postgres set back: RPO ${rpoSeconds.toFixed(1)} s, RTO ${rtoSeconds.toFixed(1)} s\n`,
    );
    expect(rpoSeconds).toBeGreaterThanOrEqual(0);
    expect(rpoSeconds).toBeLessThan(60);

    // What was acknowledged before the point is there, once; what came after is gone, and listed.
    expect(await decisionsOf([...before, ...kept])).toEqual(Array<number>(8).fill(1));
    expect(await decisionsOf(lost)).toEqual([]);
    expect(restored.lost.map(({ tenant }) => tenant)).toContain('default');
    expect(restored.lost.find(({ tenant }) => tenant === 'default')?.to).toBeGreaterThanOrEqual(
      (restored.audit.find(({ tenant }) => tenant === 'default')?.size ?? 0) + 1,
    );
    await explained();
    const found = await divergences();
    const count = (kind: string, type: string) =>
      found.filter((row) => row['kind'] === kind && row['workflow_type'] === type).length;
    expect(count('EFFECT_IN_DOUBT', 'infer')).toBe(lost.length);
    expect(count('ORPHANED_RUN', 'trainModel')).toBe(1);
    expect(count('LOST_RESULT', 'awaitApproval')).toBe(1);
    expect(found).toHaveLength(lost.length + 2);

    // Whoever asks again under the same key is answered, and has one decision.
    const again = await Promise.all(lost.map(({ key, question }) => ask(key, question)));
    expect(again.map(({ status }) => status)).toEqual(lost.map(() => 'SUCCEEDED'));
    expect(await decisionsOf(again)).toEqual(lost.map(() => 1));
    expect(again.filter(({ id }) => lost.some((one) => one.id === id))).toEqual([]);
    await approve(people, approvalId);
    await people.approver.follow(`/v1/approvals/${approvalId}`, ['APPROVED'], 60_000);

    const epochs = await stack.sql('select epoch, min_epoch from routing');
    expect(epochs).toEqual([{ epoch: 1000, min_epoch: 1000 }]);
    expect(await people.auditor.get('/v1/audit:verify')).toMatchObject({ status: 'intact' });
  }, 400_000);

  it('what is in doubt waits for a person, who decides about each', async () => {
    const list = async () => {
      const page = await people.operator.get('/v1/divergences?state=OPEN');
      return page.items as { id: string; kind: string }[];
    };
    const open = await list();
    expect(open.map(({ kind }) => kind)).toEqual(Array<string>(4).fill('EFFECT_IN_DOUBT'));
    for (const { id } of open)
      await people.operator.post(`/v1/divergences/${id}:resolve`, {
        resolution: 'ACCEPTED',
        reason: 'the caller asked again',
      });
    expect(await list()).toEqual([]);
  }, 60_000);

  it('[F32] a backup with one changed byte is refused, and the file is named', async () => {
    const clusterFiles = await readdir(join(made.folder, 'cluster', 'global'));
    const name = `cluster/global/${clusterFiles[0]}`;
    const { size } = await stat(join(made.folder, name));
    await appendFile(join(made.folder, name), 'x');
    const { code, out } = await anneal('backup', 'verify', made.folder);
    expect(code).toBe(1);
    expect(JSON.parse(out) as BackupVerified).toMatchObject({
      status: 'broken',
      fault: { path: name },
    });
    await truncate(join(made.folder, name), size);
  }, 60_000);
});

describe('Temporal emptied, Postgres untouched', () => {
  it('[F31, I1, I2] every open run starts again from its intent, and what had ended stays as it was', async () => {
    const settled = await askMany(4);
    const approvalId = await askForApproval(people, model, { version: 1, plan });
    const runId = await startTraining(people, model, {
      kind: 'gbt',
      params: { trees: 800, depth: 6 },
    });
    await people.engineer.follow(`/v1/training-runs/${runId}`, ['RUNNING'], 60_000);
    const earlier = (await divergences()).length;
    await stack.close({ keep: true });
    for (const suffix of ['', '-shm', '-wal'])
      await rm(join(stack.stateDir, `temporal.db${suffix}`), { force: true });

    const since = performance.now();
    await startAgain();
    await explained();
    const rtoSeconds = (performance.now() - since) / 1_000;
    process.stdout.write(
      `restore drill: Temporal emptied: RPO 0 s, RTO ${rtoSeconds.toFixed(1)} s\n`,
    );
    const found = (await divergences()).slice(earlier);
    expect(found.map((row) => [row['kind'], row['workflow_id']]).sort()).toEqual([
      ['MISSING_RUN', `approval/default/${approvalId}`],
      ['MISSING_RUN', `training/default/${runId}`],
    ]);
    expect(await decisionsOf(settled)).toEqual([1, 1, 1, 1]);
    await write(1);
    await people.engineer.post(`/v1/training-runs/${runId}:cancel`, { reason: 'drill' });
    await people.engineer.follow(`/v1/training-runs/${runId}`, ['CANCELLED'], 60_000);
    await approve(people, approvalId);
    await people.approver.follow(`/v1/approvals/${approvalId}`, ['APPROVED'], 60_000);
    await askMany(2);
    expect(await people.auditor.get('/v1/audit:verify')).toMatchObject({ status: 'intact' });
  }, 300_000);
});

describe('the node lost, with everything that is not in the backup folder', () => {
  const RPO_MS = 60_000;
  const RTO_MS = 900_000;

  it('[F31, I1, I2] serves again from an empty folder, backups and keys; nothing older than the RPO is lost', async () => {
    // A model that is in no base backup: its rows come with WAL, its bytes beside it.
    const runId = await startTraining(people, model, {
      kind: 'gbt',
      params: { trees: 9, depth: 3 },
    });
    await followTraining(people, runId);
    await write(1);
    await eventually(
      async () => {
        await write(1);
        expect(Date.now() - (written[1]?.atMs ?? 0)).toBeGreaterThan(RPO_MS);
      },
      { timeoutMs: RPO_MS + 30_000, everyMs: 2_000 },
    );
    for (const name of ['keys', 'keys.json'])
      await cp(join(stack.stateDir, name), join(kept, name), { recursive: true });

    const lostMs = Date.now();
    await stack.kill9All();
    await stack.close({ keep: true });
    await rename(stack.stateDir, join(kept, 'lost'));
    const keys = ['--keys', join(kept, 'keys')];
    const verify = await anneal('backup', 'verify', ...keys);
    expect(JSON.parse(verify.out) as BackupVerified).toMatchObject({ status: 'intact' });
    const restore = await anneal('backup', 'restore', '--to', stack.stateDir, ...keys);
    expect({ code: restore.code, said: restore.err }).toMatchObject({ code: 0 });
    const restored = JSON.parse(restore.out) as BackupRestored;
    await cp(join(kept, 'keys.json'), join(stack.stateDir, 'keys.json'));
    await startAgain();
    await askMany(1);
    const rtoMs = Date.now() - lostMs;

    const rows = await stack.sql('select decision_id as id from decision');
    const there = new Set(rows.map(({ id }) => String(id)));
    const gone = written.filter(({ id }) => !there.has(id));
    const rpoMs = Math.max(0, ...gone.map(({ atMs }) => lostMs - atMs));
    process.stdout.write(
      `restore drill: node lost: ${written.length} writes, ${gone.length} of them lost, RPO ${(rpoMs / 1_000).toFixed(1)} s, RTO ${(rtoMs / 1_000).toFixed(1)} s\n`,
    );
    expect(written.filter(({ atMs }) => lostMs - atMs > RPO_MS).length).toBeGreaterThan(1);
    expect(rpoMs).toBeLessThan(RPO_MS);
    expect(rtoMs).toBeLessThan(RTO_MS);

    expect(restored).toMatchObject({ findings: [], missingArtifacts: [] });
    const [trained] = await stack.sql(
      'select artifact_ref as ref, artifact_digest as digest from model_version order by version desc limit 1',
    );
    const [tenant = '', , hex = ''] = String(trained?.['ref']).split('/');
    const path = join(stack.stateDir, 'artifacts', tenant, 'sha256', hex.slice(0, 2), hex);
    expect(`sha256:${sha256Hex(await readFile(path))}`).toBe(trained?.['digest']);
    const made = (await readdir(backupDir)).filter((name) => name.startsWith('bkp_'));
    const inBase = await readdir(join(backupDir, made[0] ?? '', 'artifacts'), { recursive: true });
    expect(inBase.filter((name) => name.endsWith(hex))).toEqual([]);

    // The second restore of one backup: past every epoch of the life after the first.
    const [epoch] = await stack.sql('select min(min_epoch) as n from routing');
    expect(Number(epoch?.['n'])).toBeGreaterThanOrEqual(2_000);
    await explained();
    expect(await people.auditor.get('/v1/audit:verify')).toMatchObject({ status: 'intact' });
  }, 600_000);

  it('[F31] with a segment of WAL and an artifact lost besides, restores up to the gap and names both', async () => {
    const [trained] = await stack.sql(
      'select artifact_ref as ref from model_version order by version desc limit 1',
    );
    const ref = String(trained?.['ref']);
    const [tenant = '', , hex = ''] = ref.split('/');
    await askMany(1);
    await stack.close({ keep: true });
    const keys = join(kept, 'keys');
    const base = await chooseBackup(loadConfig(stack.env), undefined);
    const { manifest } = await readManifest(base);
    const { segments } = await readWalPath(
      backupDir,
      manifest.postgres.lastWal,
      await readFileKeys(keys),
    );
    const [end = '', missing = '', next = ''] = segments.slice(-3);
    await rm(join(backupDir, 'wal', `${missing}.sealed`));
    await rm(join(backupDir, 'artifacts', tenant, 'sha256', hex.slice(0, 2), hex));

    const to = join(kept, 'restored');
    const restore = await anneal('backup', 'restore', '--to', to, '--keys', keys);
    expect({ code: restore.code, said: restore.err }).toMatchObject({ code: 1 });
    const restored = JSON.parse(restore.out) as BackupRestored;
    expect(restored).toMatchObject({ walEnd: end, missingArtifacts: [ref] });
    expect(restored.findings).toEqual([
      `recovery ended with ${end}: ${missing} is missing, although WAL goes on at ${next}`,
      `artifact ${ref} is named by a row and missing`,
    ]);
    expect(Date.parse(restored.recoveredTo)).toBeGreaterThan(Date.parse(manifest.stoppedAt));
  }, 300_000);
});
