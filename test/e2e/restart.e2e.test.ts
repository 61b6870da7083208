import { rm } from 'node:fs/promises';
import { tourPlan } from '../../src/main/tour-model.js';
import type { People } from '../../src/main/tour-people.js';
import { freshStackEnv, launch, startStack, type Stack } from '../support/stack.js';
import {
  approve,
  askForApproval,
  followTraining,
  prepareLoanModel,
  startRelease,
  startTraining,
  type LoanModel,
} from './loan-model.js';

// One state folder through every way of stopping.

let stack: Stack;
let people: People;
let model: LoanModel;
let version: number;

beforeAll(async () => {
  stack = await startStack();
  people = await stack.people();
  model = await prepareLoanModel(people, 'restart');
  const run = await followTraining(
    people,
    await startTraining(people, model, { kind: 'logistic' }),
  );
  version = Number(run.version);
}, 600_000);
afterAll(() => stack.close(), 120_000);

/** Starts again on the same folder and ports. */
async function startAgain(): Promise<void> {
  await stack.close({ keep: true });
  stack = await startStack(stack.env);
  people = await stack.people();
}

/** The run behind a workflow id, as the engine knows it. */
async function runIdOf(workflowId: string): Promise<string> {
  const temporal = await stack.temporal();
  return (await temporal.workflow.getHandle(workflowId).describe()).runId;
}

const plan = { ...tourPlan, bakeMs: 15_000 };
let approvalId: string;

describe('the state folder', () => {
  it('holds one start at a time: a second one is refused and names the first', async () => {
    const second = launch(stack.env);
    await expect(second.ended).resolves.toBe(1);
    const launcher = await stack.pidOf('launcher');
    expect(second.output()).toContain(`another \`npm start\` (process ${launcher})`);
    expect(second.output()).toContain('ANNEAL_STATE_DIR');
    expect((await people.engineer.get('/v1/me')).name).toBe('engineer');
  }, 60_000);

  it.each(['ANNEAL_API_PORT', 'ANNEAL_POSTGRES_PORT', 'ANNEAL_TEMPORAL_PORT'])(
    'is not started on a busy port; the refusal names %s',
    async (variable) => {
      const other = await freshStackEnv();
      const busy = String(stack.env[variable]);
      const refused = launch({ ...other, [variable]: busy });
      await expect(refused.ended).resolves.toBe(1);
      await rm(other['ANNEAL_STATE_DIR'] ?? '', { recursive: true });
      expect(refused.output()).toMatch(new RegExp(`ort ${busy} .*(set|Set) ${variable}`));
    },
    120_000,
  );
});

describe('a second start', () => {
  it('after Ctrl-C goes on with the approval that was waiting, in the same run', async () => {
    approvalId = await askForApproval(people, model, { version, plan });
    const workflowId = `approval/default/${approvalId}`;
    const runId = await runIdOf(workflowId);
    expect(await stack.interrupt()).toBe(0);
    await startAgain();
    expect(await runIdOf(workflowId)).toBe(runId);
    await approve(people, approvalId);
    await people.approver.follow(`/v1/approvals/${approvalId}`, ['APPROVED'], 60_000);
    const temporal = await stack.temporal();
    await temporal.workflow.getHandle(workflowId, runId).result();
  }, 400_000);

  it('[F5, F7] after kill -9 of everything goes on with the release that was under way', async () => {
    const releaseId = await startRelease(people, model, { version, approvalId, plan });
    const path = `/v1/releases/${releaseId}`;
    await people.operator.follow(path, ['VERIFYING'], 120_000);
    const runId = await runIdOf(`release/default/${releaseId}`);
    await stack.kill9All();
    await startAgain();
    expect(await runIdOf(`release/default/${releaseId}`)).toBe(runId);
    const release = await people.operator.follow(path, ['SUCCEEDED'], 120_000);
    expect(release.failure).toBeNull();
    const routing = await people.operator.get(`/v1/models/${model.name}/envs/prod/routing`);
    expect(routing.active).toBe(version);
    expect(await people.auditor.get('/v1/audit:verify')).toMatchObject({ status: 'intact' });
  }, 400_000);

  it('after kill -9 of the launcher alone ends what it left behind and works', async () => {
    const names = ['api', 'worker', 'postgres', 'temporal'] as const;
    const former = await Promise.all(names.map(stack.pidOf));
    await stack.kill9('launcher');
    await startAgain();
    expect(stack.output()).toContain('that an earlier start left behind');
    const now = await Promise.all(names.map(stack.pidOf));
    expect(now.filter((pid) => former.includes(pid))).toEqual([]);
    expect((await people.engineer.get('/v1/me')).name).toBe('engineer');
  }, 400_000);
});
