import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { childEnv } from '../../src/config.js';
import { etlWorkflowId } from '../../src/domain/etl/contract.js';
import type { People } from '../../src/main/tour-people.js';
import { eventually } from '../support/eventually.js';
import { markedBlocks, runShell, scriptOf } from '../support/marked-blocks.js';
import { bundleNextBuild } from '../support/next-build-bundle.js';
import { isProcedure, readRunbookPages } from '../support/runbook-pages.js';
import {
  startEmbeddingProvider,
  type EmbeddingProvider,
} from '../support/servers/embedding-provider.js';
import { freshStackEnv, startStack, type Stack } from '../support/stack.js';
import { followFolder, type FollowedFolder } from './followed-folder.js';
import {
  approve,
  askForApproval,
  followTraining,
  prepareLoanModel,
  releaseFirstVersion,
  startRelease,
  startTraining,
  type LoanModel,
} from './loan-model.js';

// Every page of docs/runbooks about one thing to do, against a live installation in which that thing has happened.

const texts = new Map(
  readRunbookPages()
    .filter(isProcedure)
    .map(({ name, text }) => [name, text]),
);
/** A backup of before the keys were rotated has to come back; what was changed past the product is taken back at the end. */
const [first, last] = [['restore', 'rotate-a-key'], ['audit-break']];
const pages = [
  ...first,
  ...[...texts.keys()].filter((page) => ![...first, ...last].includes(page)),
  ...last,
];

let stack: Stack;
let people: People;
let model: LoanModel;
let backupDir: string;
let ledgerFile: string;
let provider: EmbeddingProvider;
/** Documents under an embedder of the worker's own, and under the provider. */
let documents: FollowedFolder;
let provided: FollowedFolder;
let runs: string[];
/** Just before the audit was forged. */
let moment: string;
const given: Record<string, string> = { MODEL: 'runbook' };

const article = (subject: string): string =>
  `# ${subject}\n\nThis article is about ${subject}, and there is no other like it.\n`;

/** Two versions in production, one after the other, and a key that got into wrong hands. */
async function prepareModel(): Promise<void> {
  model = await prepareLoanModel(people, 'runbook', 'low');
  await releaseFirstVersion(people, model);
  const run = await followTraining(people, await startTraining(people, model, { kind: 'gbt' }));
  const version = Number(run.version);
  const approvalId = await askForApproval(people, model, { version });
  await approve(people, approvalId);
  const releaseId = await startRelease(people, model, { version, approvalId });
  await people.operator.follow(`/v1/releases/${releaseId}`, ['SUCCEEDED'], 180_000);
  const admin = await stack.admin();
  const { id: principalId } = await people.engineer.get('/v1/me');
  const key = await admin.post('/v1/api-keys', { principalId, env: 'prod' });
  given['LEAKED'] = String(key.key);
}

/** Two collections, and a document that a gate stops although it is what its owner means. */
async function prepareDocuments(): Promise<void> {
  const parent = stack.stateDir;
  documents = await followFolder(
    people.steward,
    { parent, name: 'handbook' },
    { 'good.md': article('kites'), 'bytes.txt': Buffer.alloc(4_000, 0x81) },
  );
  provided = await followFolder(
    people.steward,
    { parent, name: 'provided', embedder: 'openai' },
    { 'good.md': article('herons') },
  );
  await documents.untilIndexed(['good.md']);
  await provided.untilIndexed(['good.md']);
  given['SOURCE'] = documents.sourceId;
  given['COLLECTION'] = provided.collectionId;
}

beforeAll(async () => {
  backupDir = await mkdtemp(join(tmpdir(), 'anneal-runbooks-'));
  ledgerFile = join(backupDir, 'embedding-ledger');
  given['EVIDENCE'] = join(backupDir, 'evidence');
  provider = await startEmbeddingProvider({ ledgerFile });
  stack = await startStack({
    ...(await freshStackEnv()),
    ANNEAL_BACKUP_DIR: backupDir,
    ANNEAL_EMBEDDING_URL: provider.baseUrl,
    ANNEAL_EMBEDDING_MODEL: 'hash',
    ANNEAL_EMBEDDING_DIMS: '384',
  });
  people = await stack.people();
  await Promise.all([prepareModel(), prepareDocuments()]);
}, 600_000);
afterAll(async () => {
  await stack.close();
  await provider.close();
  await rm(backupDir, { recursive: true, force: true });
}, 120_000);

async function runPage(
  page: string,
  mark: string,
): Promise<{ code: number | null; output: string }> {
  const blocks = markedBlocks(texts.get(page) ?? '', mark);
  expect(blocks.length).toBeGreaterThan(0);
  return runShell(scriptOf(blocks), childEnv({ ...stack.env, ...given }));
}

async function expectToRun(page: string, mark: string): Promise<string> {
  const { code, output } = await runPage(page, mark);
  expect({ code, output: output.slice(-3_000) }).toMatchObject({
    code: 0,
    output: expect.stringContaining('== end') as string,
  });
  return output;
}

const active = async (): Promise<unknown> =>
  (await people.operator.get('/v1/models/runbook/envs/prod/routing')).active;

const stateOf = async (runId: string): Promise<unknown> =>
  (await people.engineer.get(`/v1/training-runs/${runId}`)).state;

/** What is wrong before the commands of a page run, and what has to be right behind them. */
interface Fault {
  plant?: () => Promise<void>;
  prove: (output: string) => Promise<void>;
}

/** One run holds the only slot of the queue `training`; the others wait behind it, longer than this page takes. */
async function fillTheQueue(): Promise<void> {
  const trainer = { kind: 'gbt' as const, params: { trees: 1_000, depth: 6 } };
  runs = [];
  for (let n = 0; n < 6; n++) runs.push(await startTraining(people, model, trainer));
  const metrics = `http://127.0.0.1:${stack.env['ANNEAL_WORKER_METRICS_PORT']}/metrics`;
  await eventually(
    async () => {
      const text = await (await fetch(metrics)).text();
      expect(text).toMatch(/^anneal_backlog_tasks\{queue="training"\} [1-9]/m);
    },
    { timeoutMs: 60_000, everyMs: 250 },
  );
}

const failedTasks = async (): Promise<string[]> => {
  const temporal = await stack.temporal();
  const id = etlWorkflowId('default', documents.sourceId);
  const { events = [] } = await temporal.workflow.getHandle(id).fetchHistory();
  return (events ?? []).flatMap(({ workflowTaskFailedEventAttributes: failed }) =>
    failed == null ? [] : [String(failed.failure?.message)],
  );
};

/** A build whose workflows do not fit histories that were begun before, and work for one of these. */
async function deployBadBuild(): Promise<void> {
  const { code } = await bundleNextBuild();
  await writeFile(join(stack.stateDir, 'workflow-bundle.js'), code);
  await stack.back('worker', await stack.kill9('worker'));
  await documents.write({ 'late.md': article('swifts') });
  await documents.scan();
  await eventually(async () => expect((await failedTasks()).length).toBeGreaterThan(0), {
    timeoutMs: 60_000,
    everyMs: 250,
  });
}

/** Somebody hides that a key was revoked, as superuser and past every trigger. */
async function forgeTheAudit(): Promise<void> {
  const [point] = await stack.sql('select clock_timestamp() as at');
  // Dates have milliseconds; nothing is forged within the next one.
  moment = new Date((point?.['at'] as Date).getTime() + 1).toISOString();
  await stack.sql(`begin; set local session_replication_role = replica;
    update audit_entry set entry = replace(entry, 'access.key-revoked', 'access.key-created')
      where tenant_id = 'default' and entry like '%access.key-revoked%';
    commit`);
}

const faults: Record<string, Fault> = {
  'bad-worker-build': {
    plant: deployBadBuild,
    prove: async (output) => {
      expect(output).toMatch(/^temporal_workflow_task_execution_failed.* [1-9]/m);
      await documents.untilIndexed(['late.md']);
    },
  },
  'drain-a-queue': {
    plant: fillTheQueue,
    prove: async (output) => {
      expect(output).toMatch(/anneal_backlog_tasks\{queue="training"\} [1-9]/);
      await eventually(async () => {
        const ends = await Promise.all(runs.map(stateOf));
        expect(ends.filter((end) => end !== 'REGISTERED' && end !== 'CANCELLED')).toEqual([]);
        expect(ends.slice(-2)).toEqual(['CANCELLED', 'CANCELLED']);
      });
    },
  },
  'embedding-provider-outage': {
    plant: async () => {
      await provider.close();
      await provided.write({ 'late.md': article('storks') });
      await provided.scan();
    },
    prove: async (output) => {
      expect(output).toContain('✗ Embedder openai');
      expect(output).toMatch(/degraded\W+true/);
      const [hit] = await provided.search('herons', { allowDegraded: true });
      expect(hit?.text).toContain('herons');
      provider = await startEmbeddingProvider({ ledgerFile, port: provider.port });
    },
  },
  'isolate-a-tenant-or-worker': {
    prove: async () => {
      const { items } = await people.steward.get('/v1/sources?state=ACTIVE');
      expect(items).toHaveLength(2);
      expect((await people.service.get('/v1/me')).roles).toEqual(['service']);
    },
  },
  'quarantine-release': {
    prove: async () => expect((await documents.document('bytes.txt')).state).toBe('INDEXED'),
  },
  'roll-back-a-model': { prove: async () => expect(await active()).toBe(1) },
  'audit-break': {
    plant: forgeTheAudit,
    prove: async (output) => {
      expect(output).toContain('the chain is broken');
      expect(output).toMatch(/\bedit\b/);
    },
  },
};

describe('against a live installation', () => {
  it.each(pages)(
    '[D42] the commands of %s work',
    async (page) => {
      await faults[page]?.plant?.();
      const output = await expectToRun(page, 'ci');
      await faults[page]?.prove(output);
    },
    240_000,
  );

  it('they did what they are for', async () => {
    const kills = await stack.sql('select distinct state from kill_switch');
    expect(kills).toEqual([{ state: 'LIFTED' }]);
    const refused = await fetch(`${stack.baseUrl}/v1/me`, {
      headers: { authorization: `Bearer ${given['LEAKED']}` },
    });
    expect(refused.status).toBe(401);
    // What came in while the provider was away waits for the next try.
    await provided.untilIndexed(['late.md']);
  });

  it('what is written after a rotation names the new keys, and what was written before is read', async () => {
    const admin = await stack.admin();
    const { id: principalId } = await people.engineer.get('/v1/me');
    await admin.post('/v1/api-keys', { principalId, env: 'prod' });
    const keys = await stack.sql(
      'select pepper_version as v from api_key order by key_id desc limit 1',
    );
    expect(keys).toEqual([{ v: 2 }]);
    const approvalId = await askForApproval(people, model, { version: 1 });
    await approve(people, approvalId);
    await people.approver.follow(`/v1/approvals/${approvalId}`, ['APPROVED'], 60_000);
    const signed = await stack.sql('select key_id from approval_decision where approval_id = $1', [
      approvalId,
    ]);
    expect(signed).toEqual([{ key_id: 'approval-v2' }]);
    const [hit] = await documents.search('kites');
    expect(hit?.text).toContain('kites');
  }, 120_000);

  it('[D42] restore and an empty Temporal work while it is stopped, and it serves afterwards', async () => {
    await stack.close({ keep: true });
    // Up to the newest moment the forged entry comes back with the rest, and is refused.
    const refused = await runPage('restore', 'ci: stopped');
    expect(refused.code).toBe(1);
    expect(refused.output).toContain('does not verify: edit');
    given['AT'] = moment;
    expect(await expectToRun('restore', 'ci: stopped')).toContain('restorationId');
    await expectToRun('temporal-lost', 'ci: stopped');
    stack = await startStack(stack.env);
    people = await stack.people();
    for (const page of ['audit-break', 'restore', 'temporal-lost'])
      await expectToRun(page, 'ci: restarted');
    expect(await active()).toBe(1);
    expect(await people.auditor.get('/v1/audit:verify')).toMatchObject({ status: 'intact' });
  }, 300_000);
});
