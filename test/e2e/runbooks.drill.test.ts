import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { childEnv } from '../../src/config.js';
import type { People } from '../../src/main/tour-people.js';
import { markedBlocks, runShell, scriptOf } from '../support/marked-blocks.js';
import { freshStackEnv, startStack, type Stack } from '../support/stack.js';
import {
  approve,
  askForApproval,
  followTraining,
  prepareLoanModel,
  releaseFirstVersion,
  startRelease,
  startTraining,
} from './loan-model.js';

const folder = new URL('../../docs/runbooks/', import.meta.url).pathname;
/** In an order in which each finds what it needs. */
const pages = [
  'roll-back-a-model',
  'kill-and-lift',
  'drain-a-queue',
  'revoke-a-key',
  'bad-worker-build',
  'audit-break',
  'restore',
  'temporal-lost',
];

let stack: Stack;
let people: People;
let backupDir: string;
const texts = new Map<string, string>();
const given: Record<string, string> = { MODEL: 'runbook' };

/** Two versions in production, one after the other, and a key that got into wrong hands. */
beforeAll(async () => {
  for (const page of pages) texts.set(page, await readFile(`${folder}${page}.md`, 'utf8'));
  backupDir = await mkdtemp(join(tmpdir(), 'anneal-runbooks-'));
  stack = await startStack({ ...(await freshStackEnv()), ANNEAL_BACKUP_DIR: backupDir });
  people = await stack.people();
  const model = await prepareLoanModel(people, 'runbook', 'low');
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
  given['EVIDENCE'] = join(backupDir, 'evidence');
}, 600_000);
afterAll(async () => {
  await stack.close();
  await rm(backupDir, { recursive: true, force: true });
}, 120_000);

async function expectToRun(page: string, mark: string): Promise<string> {
  const blocks = markedBlocks(texts.get(page) ?? '', mark);
  expect(blocks.length).toBeGreaterThan(0);
  const { code, output } = await runShell(scriptOf(blocks), childEnv({ ...stack.env, ...given }));
  expect({ code, output: output.slice(-3_000) }).toMatchObject({
    code: 0,
    output: expect.stringContaining('== end') as string,
  });
  return output;
}

const active = async (): Promise<unknown> =>
  (await people.operator.get('/v1/models/runbook/envs/prod/routing')).active;

describe('every runbook', () => {
  it.each(pages)('%s goes from the symptom to how it is undone', (page) => {
    const text = texts.get(page) ?? '';
    const steps = ['Symptom', 'Confirm', 'Act', 'Verify', 'Undo'];
    expect([...text.matchAll(/^\*\*(\w+)\.\*\*/gm)].map(([, step]) => step)).toEqual(steps);
  });
});

describe('against a live installation', () => {
  it.each(pages)(
    '[D42] the commands of %s work',
    async (page) => {
      await expectToRun(page, 'ci');
    },
    180_000,
  );

  it('they did what they are for', async () => {
    expect(await active()).toBe(1);
    const kills = await stack.sql('select state from kill_switch');
    expect(kills).toEqual([{ state: 'LIFTED' }, { state: 'LIFTED' }]);
    const refused = await fetch(`${stack.baseUrl}/v1/me`, {
      headers: { authorization: `Bearer ${given['LEAKED']}` },
    });
    expect(refused.status).toBe(401);
  });

  it('[D42] restore and an empty Temporal work while it is stopped, and it serves afterwards', async () => {
    await stack.close({ keep: true });
    expect(await expectToRun('restore', 'ci: stopped')).toContain('restorationId');
    await expectToRun('temporal-lost', 'ci: stopped');
    stack = await startStack(stack.env);
    people = await stack.people();
    await expectToRun('restore', 'ci: restarted');
    await expectToRun('temporal-lost', 'ci: restarted');
    expect(await active()).toBe(1);
    expect(await people.auditor.get('/v1/audit:verify')).toMatchObject({ status: 'intact' });
  }, 240_000);
});
