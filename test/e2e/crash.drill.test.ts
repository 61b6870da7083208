import { tourPlan, tourShadow } from '../../src/main/tour-model.js';
import type { People } from '../../src/main/tour-people.js';
import { eventually } from '../support/eventually.js';
import { startStack, type Stack, type StackProcess } from '../support/stack.js';
import {
  approve,
  askForApproval,
  followTraining,
  loanQuestions,
  prepareLoanModel,
  releaseFirstVersion,
  startRelease,
  startTraining,
  type LoanModel,
} from './loan-model.js';
import { insistTogether, type Insisted } from './persistent-caller.js';

// One installation, one model in production, and SIGKILL to every process of it in turn.

let stack: Stack;
let people: People;
let model: LoanModel;
let questions: AsyncGenerator<object>;
/** Everything that was acknowledged, over all tests. */
const acknowledged: Insisted[] = [];

beforeAll(async () => {
  stack = await startStack();
  people = await stack.people();
  model = await prepareLoanModel(people, 'crash');
  await releaseFirstVersion(people, model);
  questions = loanQuestions(model.name);
}, 600_000);
afterAll(() => stack.close(), 120_000);

const numberOf = async (text: string, values: unknown[] = []): Promise<number> =>
  Number((await stack.sql(`select (${text})::int as n`, values))[0]?.['n']);

/** Callers who do not let go, and a kill after the first few answers. */
async function askThroughKillOf(name: StackProcess, total: number): Promise<Insisted[]> {
  const asking = { baseUrl: stack.baseUrl, key: await stack.keyOf('service'), patienceMs: 180_000 };
  const killAt = Math.floor(total / 4);
  let killed: Promise<number> | undefined;
  let started = 0;
  const told = await insistTogether(asking, questions, {
    callers: 8,
    enough: (answered) => {
      if (answered >= killAt) killed ??= stack.kill9(name);
      started += 1;
      return started > total;
    },
  });
  if (killed === undefined) throw new Error('nothing was killed');
  await stack.back(name, await killed);
  acknowledged.push(...told);
  return told;
}

/** One id, one final state and one decision row for each of them. */
async function expectOneEnd(told: Insisted[]): Promise<void> {
  for (const { ids, states } of told) {
    expect(ids.size).toBe(1);
    expect([...states]).toEqual(['SUCCEEDED']);
  }
  const ids = told.flatMap((one) => [...one.ids]);
  expect(new Set(ids).size).toBe(told.length);
  const rows = await stack.sql(
    `select i.state, (select count(*)::int from decision d
        where d.tenant_id = i.tenant_id and d.decision_id = i.inference_id) as decisions
     from inference i where i.inference_id = any($1)`,
    [ids],
  );
  expect(rows).toHaveLength(told.length);
  expect(new Set(rows.map((row) => JSON.stringify(row)))).toEqual(
    new Set([JSON.stringify({ state: 'SUCCEEDED', decisions: 1 })]),
  );
}

describe('kill -9', () => {
  const trees = 800;
  const trainer = { kind: 'gbt' as const, params: { trees, depth: 6 } };
  const stepOf = (runId: string) =>
    numberOf('select coalesce(max(step), 0) from training_metric where run_id = $1', [runId]);

  it('[F1] of the worker in the middle of a training run repeats at most ten steps and changes no byte of the model', async () => {
    const undisturbed = await followTraining(people, await startTraining(people, model, trainer));
    const runId = await startTraining(people, model, trainer);
    await eventually(async () => expect(await stepOf(runId)).toBeGreaterThanOrEqual(50), {
      timeoutMs: 120_000,
      everyMs: 20,
    });
    const killed = await stack.kill9('worker');
    const reached = await stepOf(runId);
    expect(reached).toBeLessThan(trees);
    await stack.back('worker', killed);
    const run = await followTraining(people, runId);
    expect(run.artifactDigest).toBe(undisturbed.artifactDigest);
    const lines = await stack.sql('select line from training_log where run_id = $1 order by seq', [
      runId,
    ]);
    const [, step] =
      lines
        .map(({ line }) => /resumed from the checkpoint of step (\d+)/.exec(String(line)))
        .find(Boolean) ?? [];
    expect(reached - Number(step)).toBeLessThanOrEqual(10);
    const steps = await numberOf(
      `select count(*) from training_metric where run_id = $1 and name = 'log_loss'`,
      [runId],
    );
    expect(steps).toBeGreaterThanOrEqual(trees);
    expect(await numberOf('select count(*) from model_version where run_id = $1', [runId])).toBe(1);
  }, 400_000);

  it('[F1, I2] of the worker in a shadow stage loses no pair, doubles none, and the release succeeds', async () => {
    const run = await followTraining(people, await startTraining(people, model, { kind: 'gbt' }));
    const version = Number(run.version);
    const plan = { ...tourPlan, shadow: { ...tourShadow, maxDurationMs: 600_000 } };
    const approvalId = await askForApproval(people, model, { version, plan });
    await approve(people, approvalId);
    const releaseId = await startRelease(people, model, { version, approvalId, plan });
    const path = `/v1/releases/${releaseId}`;
    await people.operator.follow(path, ['SHADOWING'], 120_000);
    // Fewer than the stage asks for: it is still collecting when the lost ones come back.
    const told = await askThroughKillOf('worker', 40);
    await expectOneEnd(told);
    const decisions = told.flatMap(({ ids }) => [...ids]);
    await eventually(
      async () => {
        const pairs = await stack.sql(
          'select decision_id from shadow_pair where version = $1 and error is null',
          [version],
        );
        expect(pairs.map(({ decision_id: id }) => String(id)).sort()).toEqual(decisions.sort());
      },
      { timeoutMs: 120_000, everyMs: 250 },
    );
    expect((await people.operator.get(path)).state).toBe('SHADOWING');
    const asking = {
      baseUrl: stack.baseUrl,
      key: await stack.keyOf('service'),
      patienceMs: 60_000,
    };
    const isOver = async () => (await people.operator.get(path)).state !== 'SHADOWING';
    acknowledged.push(...(await insistTogether(asking, questions, { callers: 4, enough: isOver })));
    await people.operator.follow(path, ['SUCCEEDED'], 120_000);
    const routing = await people.operator.get(`/v1/models/${model.name}/envs/prod/routing`);
    expect(routing.active).toBe(version);
  }, 600_000);

  it('[F1, I1] of the worker with inferences in flight: each acknowledged one ends once, with one decision row', async () => {
    await expectOneEnd(await askThroughKillOf('worker', 80));
  }, 300_000);

  it('[F5, I1] of Postgres with inferences in flight: each acknowledged one ends once, with one decision row', async () => {
    await expectOneEnd(await askThroughKillOf('postgres', 80));
  }, 300_000);

  it('[F7, I1] of Temporal with inferences in flight: each acknowledged one ends once, with one decision row', async () => {
    await expectOneEnd(await askThroughKillOf('temporal', 80));
  }, 300_000);

  it('[F4, I1] of the API with inferences in flight: whoever repeats the request gets the one inference', async () => {
    const told = await askThroughKillOf('api', 80);
    expect(told.filter(({ repeats }) => repeats > 0)).not.toEqual([]);
    await expectOneEnd(told);
  }, 300_000);
});

describe('after all of it', () => {
  it('[I9] nothing is left over: no open inference, no intent without a run, no run without an end', async () => {
    const temporal = await stack.temporal();
    await eventually(
      async () => {
        expect(await stack.sql('select state from inference where settled_at is null')).toEqual([]);
        expect(
          await stack.sql('select workflow_id from intent where delivered_at is null'),
        ).toEqual([]);
        const { count } = await temporal.workflow.count(`ExecutionStatus = 'Running'`);
        expect(count).toBe(0);
      },
      { timeoutMs: 120_000, everyMs: 500 },
    );
    const asked = new Set(acknowledged.flatMap(({ ids }) => [...ids]));
    expect(await numberOf('select count(*) from inference')).toBe(asked.size);
    expect(await numberOf('select count(*) from decision')).toBe(asked.size);
  }, 150_000);

  it('[I3] the audit chain is whole', async () => {
    const verdict = await people.auditor.get('/v1/audit:verify');
    expect(verdict).toMatchObject({ status: 'intact' });
    expect(Number(verdict.size)).toBeGreaterThan(50);
  }, 60_000);

  it('[I4] exactly one version of each target is active, and it is the approved one', async () => {
    const rows = await stack.sql(
      `select d.model, d.env, array_agg(d.version) as versions, max(r.active) as routed,
         bool_and(v.assurance = 'APPROVED') as approved
       from deployment d
       join routing r on r.tenant_id = d.tenant_id and r.env = d.env and r.kind = 'model' and r.name = d.model
       join model_version v on v.tenant_id = d.tenant_id and v.model = d.model and v.version = d.version
       where d.state = 'ACTIVE' group by d.model, d.env`,
    );
    expect(rows).toHaveLength(1);
    const [row] = rows;
    expect(row?.['versions']).toEqual([row?.['routed']]);
    expect(row?.['approved']).toBe(true);
  });
});
