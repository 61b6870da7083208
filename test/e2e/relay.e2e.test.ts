import { randomUUID } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import type { People } from '../../src/main/tour-people.js';
import { eventually } from '../support/eventually.js';
import { startStack, type Stack } from '../support/stack.js';
import { followTraining, prepareLoanModel, startTraining, type LoanModel } from './loan-model.js';

let stack: Stack;
let people: People;
let model: LoanModel;

beforeAll(async () => {
  stack = await startStack();
  people = await stack.people();
  model = await prepareLoanModel(people, 'relay');
  await followTraining(people, await startTraining(people, model, { kind: 'logistic' }));
}, 600_000);
afterAll(() => stack.close(), 120_000);

describe('an intent', () => {
  it('[F4] that was committed is started by the relay when the API and the engine die before the start', async () => {
    const key = randomUUID();
    const request = () =>
      people.engineer.post(
        `/v1/models/${model.name}/versions/1/evaluations`,
        { evaluationSnapshotId: model.test, protectedAttributes: ['sex'] },
        { 'idempotency-key': key, prefer: 'wait=0' },
      );
    // A frozen engine takes the bytes of the start and never reads them: the commit is sure to be ahead of the start.
    process.kill(await stack.pidOf('temporal'), 'SIGSTOP');
    const lost = request().then(
      () => 'answered',
      () => 'cut off',
    );
    const intents = () =>
      stack.sql(
        `select workflow_id, delivered_at from intent where workflow_type = 'evaluateVersion'`,
      );
    const [intent] = await eventually(
      async () => {
        const rows = await intents();
        expect(rows).toHaveLength(1);
        return rows;
      },
      { timeoutMs: 30_000, everyMs: 10 },
    );
    expect(intent?.['delivered_at']).toBeNull();
    const [api, temporal] = await Promise.all([stack.kill9('api'), stack.kill9('temporal')]);
    await expect(lost).resolves.toBe('cut off');
    await Promise.all([stack.back('api', api), stack.back('temporal', temporal)]);
    await eventually(async () => expect((await intents())[0]?.['delivered_at']).not.toBeNull(), {
      timeoutMs: 60_000,
    });
    // The client repeats itself and finds the evaluation that its lost request began.
    const again = await request();
    expect(intent?.['workflow_id']).toBe(`evaluation/default/${String(again.id)}`);
    await people.engineer.follow(`/v1/evaluations/${String(again.id)}`, ['COMPLETED'], 120_000);
    expect(await intents()).toHaveLength(1);
  }, 300_000);

  it('that is missing refuses a run started behind the API, changes nothing and leaves an audit entry', async () => {
    const temporal = await stack.temporal();
    const before = await stack.sql('select state, version from training_run order by run_id');
    const forged = [
      ['trainModel', 'training/default/trn_01JZ8Q4T5V6W7X8Y9ZABCDEFGH'],
      ['rollOutRelease', 'release/default/rel_01JZ8Q4T5V6W7X8Y9ZABCDEFGH'],
      ['awaitApproval', 'approval/default/apr_01JZ8Q4T5V6W7X8Y9ZABCDEFGH'],
    ] as const;
    for (const [type, workflowId] of forged) {
      const [, , id] = workflowId.split('/');
      const input = { tenant: 'default', runId: id, releaseId: id, approvalId: id, limits: {} };
      const handle = await temporal.workflow.start(type, {
        workflowId,
        taskQueue: 'orchestration',
        args: [input],
      });
      const failure: unknown = await handle.result().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(WorkflowFailedError);
      expect(JSON.stringify(failure)).toContain('START_NOT_AUTHORISED');
      const entries = await stack.sql(`select entry from audit_entry where entry like $1`, [
        `%${workflowId}%`,
      ]);
      expect(entries.map(({ entry }) => JSON.parse(String(entry)) as object)).toMatchObject([
        { action: 'workflow.refused', after: { code: 'START_NOT_AUTHORISED' } },
      ]);
    }
    expect(await stack.sql('select state, version from training_run order by run_id')).toEqual(
      before,
    );
    expect(await stack.sql('select 1 from release')).toEqual([]);
  }, 120_000);
});
