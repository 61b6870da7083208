import { eventually } from '../support/eventually.js';
import { connectTestTemporal, type TestTemporal } from '../support/temporal.js';
import { quick, quickShadow, ReleaseWorld } from './release-world.js';

/** Every story waits for several workflows. */
const STORY_MS = 60_000;
const story = (title: string, tell: () => Promise<void>) => it(title, tell, STORY_MS);

let temporal: TestTemporal;
let world: ReleaseWorld;

beforeAll(async () => {
  temporal = await connectTestTemporal();
  world = await ReleaseWorld.open(temporal);
  await world.work();
}, STORY_MS);
beforeEach(async () => {
  await world.renew();
  world.serve('inference');
  world.serve('api');
  for (const version of [1, 2]) await ended(await world.release(version), 'SUCCEEDED');
}, STORY_MS);
afterEach(() => world.unserve(), STORY_MS);
afterAll(async () => {
  await world.close();
  await temporal.stop();
}, STORY_MS);

const handle = (releaseId: string) =>
  temporal.client.workflow.getHandle(`release/${world.tenant}/${releaseId}`);
async function ended(releaseId: string, state: string) {
  expect(await handle(releaseId).result()).toEqual({ releaseId, state });
  return world.view(releaseId);
}
const reached = (releaseId: string, state: string) =>
  eventually(async () => expect((await world.view(releaseId)).state).toBe(state), {
    timeoutMs: 30_000,
  });

const rollBack = async (more: object = {}) => {
  const { epoch } = await world.routing();
  const body = { reason: 'complaints', ...more };
  const path = '/v1/models/credit/envs/prod/rollbacks';
  const answer = await world.send('POST', path, { body, ifMatch: epoch, roles: ['operator'] });
  return answer;
};

describe('a rollback', () => {
  story(
    'needs no approval, is refused to older epochs, and bars what it replaced until a new approval',
    async () => {
      const answer = await rollBack();
      const view = await ended(answer.body.id as string, 'SUCCEEDED');
      expect(view).toMatchObject({ strategy: 'rollback', approvalId: null });
      expect(await world.routing()).toMatchObject({
        epoch: 3,
        minEpoch: 3,
        active: 1,
        previous: null,
      });
      const rows = await world.sql(
        'select version, state, barred_reason from deployment where tenant_id = $1 order by version',
      );
      expect(rows).toEqual([
        { version: 1, state: 'ACTIVE', barred_reason: null },
        { version: 2, state: 'ROLLED_BACK', barred_reason: expect.any(String) as string },
      ]);
      await ended(await world.release(2), 'SUCCEEDED');
    },
  );

  story('refuses a quarantined, retired or erased target', async () => {
    for (const assurance of ['QUARANTINED', 'RETIRED', 'ERASED']) {
      await world.sql(
        'update model_version set assurance = $2 where tenant_id = $1 and version = 1',
        [assurance],
      );
      expect((await rollBack()).body.code).toBe('ROLLBACK_TARGET_INVALID');
    }
  });

  story(
    'goes through a kill of the whole model, which then is lifted onto the old version',
    async () => {
      await world.kill({ level: 'model', model: 'credit' }, 'fail_closed');
      const answer = await rollBack();
      await ended(answer.body.id as string, 'SUCCEEDED');
      expect(await world.routing()).toMatchObject({ active: 1, kill: { mode: 'fail_closed' } });
    },
  );

  story('aborts a running release, which restores what was live before it', async () => {
    const running = await world.release(3, { ...quick, verifyMs: 60_000 });
    await reached(running, 'VERIFYING');
    const answer = await rollBack();
    expect(answer.body.id).toBe(running);
    expect(await ended(running, 'ABORTED')).toMatchObject({ cause: 'ABORTED' });
    expect(await world.routing()).toMatchObject({ epoch: 4, active: 2, previous: 1 });
  });

  story(
    'turns back when the target was withdrawn after the request: an erased version never serves',
    async () => {
      await world.rest();
      const answer = await rollBack();
      await world.sql(
        `update model_version set assurance = 'ERASED' where tenant_id = $1 and version = 1`,
      );
      await world.work();
      const view = await ended(answer.body.id as string, 'ABORTED');
      expect(view.failure).toMatchObject({ code: 'VERSION_NOT_RELEASABLE' });
      expect(await world.routing()).toMatchObject({ epoch: 2, active: 2 });
    },
  );
});

describe('Temporal as a second front door', () => {
  const pointer = () => world.sql('select * from routing where tenant_id = $1');

  story('a wake without a fact, a forged signal and a reset move nothing', async () => {
    const id = await world.release(3, { ...quick, shadow: { ...quickShadow, tickMs: 3_600_000 } });
    await reached(id, 'SHADOWING');
    const before = await pointer();
    const run = handle(id);
    for (const factId of ['cmd_forged', 'kil_forged', id]) {
      await run.executeUpdate('wake', { args: [{ factId }] });
    }
    await run.signal('proceed', { approved: true });
    await run.signal('promote');
    await expect(run.executeUpdate('promote', { args: [{ version: 3 }] })).rejects.toThrow();
    await expect(run.executeUpdate('wake', { args: ['not a fact'] })).rejects.toThrow();
    await eventually(async () => {
      const status: unknown = await run.query('getStatus');
      expect(status).toMatchObject({ state: 'SHADOWING' });
    });
    expect(await pointer()).toEqual(before);
    await world.order(id, 'abort');
    await ended(id, 'ABORTED');
  });

  story('a run that was started past the API is refused and audited', async () => {
    const before = await pointer();
    const input = { tenant: world.tenant, releaseId: 'rel_forged', version: 3, env: 'prod' };
    const run = await temporal.client.workflow.start('rollOutRelease', {
      taskQueue: 'orchestration',
      workflowId: `release/${world.tenant}/rel_forged`,
      args: [input],
    });
    await expect(run.result()).rejects.toThrow();
    expect(await pointer()).toEqual(before);
    const refused = await world.sql(
      `select count(*)::int as n from audit_entry where tenant_id = $1 and entry::jsonb ->> 'action' = 'workflow.refused'`,
    );
    expect(refused).toEqual([{ n: 1 }]);
  });

  story('a real intent with another input is refused: the plan cannot be exchanged', async () => {
    await world.rest();
    const id = await world.release(3, { ...quick, shadow: quickShadow });
    const [start] = world.started.slice(-1);
    await handle(id).terminate('an attacker');
    const plan = { ...(start?.input.plan as object), shadow: undefined };
    await world.work();
    const run = await temporal.client.workflow.start('rollOutRelease', {
      taskQueue: 'orchestration',
      workflowId: `release/${world.tenant}/${id}`,
      args: [{ ...start?.input, plan }],
    });
    await expect(run.result()).rejects.toThrow();
    expect(await world.routing()).toMatchObject({ epoch: 2, active: 2 });
  });
});
