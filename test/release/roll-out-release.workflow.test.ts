import type { ReleaseView } from '../../src/domain/release/view.js';
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
}, STORY_MS);
afterEach(() => world.unserve(), STORY_MS);
afterAll(async () => {
  await world.close();
  await temporal.stop();
}, STORY_MS);

const handle = (releaseId: string) =>
  temporal.client.workflow.getHandle(`release/${world.tenant}/${releaseId}`);

/** Waits for the end of a release; answers how it was. */
async function ended(releaseId: string, state: string): Promise<ReleaseView> {
  expect(await handle(releaseId).result()).toEqual({ releaseId, state });
  return world.view(releaseId);
}

/** Waits until a release is somewhere. */
const reached = (releaseId: string, state: string): Promise<ReleaseView> =>
  eventually(
    async () => {
      const view = await world.view(releaseId);
      expect(view.state).toBe(state);
      return view;
    },
    { timeoutMs: 30_000 },
  );

const promote = async (version: number): Promise<void> => {
  await ended(await world.release(version), 'SUCCEEDED');
};

const deployments = () =>
  world.sql(
    `select version, state, barred_at is not null as barred from deployment where tenant_id = $1 order by version`,
  );

describe('a first release', () => {
  story('[F1] has no step over which a worker may die and be missed by nobody', async () => {
    const id = await world.release(1);
    await ended(id, 'SUCCEEDED');
    const { events } = await handle(id).fetchHistory();
    const steps = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: step }) =>
      step === null || step === undefined ? [] : [step],
    );
    expect(steps.length).toBeGreaterThan(3);
    // What may take longer than a minute has to beat.
    const silent = steps.filter(
      ({ startToCloseTimeout, heartbeatTimeout }) =>
        Number(startToCloseTimeout?.seconds ?? 0) > 60 &&
        Number(heartbeatTimeout?.seconds ?? 0) === 0,
    );
    expect(silent.map(({ activityType }) => activityType?.name)).toEqual([]);
  });

  story('is loaded, promoted, held by every process, and ends with a final report', async () => {
    const id = await world.release(1);
    const view = await ended(id, 'SUCCEEDED');
    expect(view.steps.map(({ state }) => state)).toEqual([
      'PREFLIGHT',
      'WARMING',
      'PROMOTING',
      'VERIFYING',
      'SUCCEEDED',
    ]);
    expect(view.epochs).toMatchObject([{ epoch: 1, active: 1, previous: null, move: 'promote' }]);
    expect(view.reportDigest).toMatch(/^sha256:[0-9a-f]{64}$/);
    // No traffic is never a pass.
    expect(view.steps.at(-1)?.checks).toMatchObject([
      { check: 'error_rate', verdict: 'INCONCLUSIVE', n: 0 },
    ]);
    expect(await world.routing()).toMatchObject({ epoch: 1, active: 1, releaseId: id });
    expect(await deployments()).toEqual([{ version: 1, state: 'ACTIVE', barred: false }]);
    const nonces = await world.sql('select release_id from approval_nonce where tenant_id = $1');
    expect(nonces).toEqual([{ release_id: id }]);
    const [pointer] = await world.sql(
      'select release_id, length(salt) as salt from routing where tenant_id = $1',
    );
    expect(pointer).toEqual({ release_id: null, salt: 32 });
  });

  story('can be read in the workflow list: target, version, phase, what it waits for', async () => {
    const id = await world.release(1);
    await ended(id, 'SUCCEEDED');
    const described = await handle(id).describe();
    expect(await described.staticSummary()).toBe('credit v1 → prod');
    expect(described.searchAttributes).toMatchObject({
      Target: ['credit'],
      Version: ['v1'],
      Phase: ['SUCCEEDED'],
      WaitingOn: ['nothing'],
    });
  });

  story('never moves the pointer where no process can load the version', async () => {
    world.prepare = (version) =>
      version === 1
        ? Promise.reject(Object.assign(new Error('probe 3'), { code: 'GOLDEN_MISMATCH' }))
        : Promise.resolve();
    const view = await ended(await world.release(1), 'ROLLED_BACK');
    expect(view).toMatchObject({ cause: 'WARMING_FAILED', epochs: [] });
    expect(view.laggards[0]).toContain('v1 GOLDEN_MISMATCH: probe 3');
    expect((await world.routing()).epoch).toBeUndefined();
  });
});

describe('the next release', () => {
  beforeEach(() => promote(1), STORY_MS);

  story(
    'makes the active version PREVIOUS, one epoch later, and the routing of any time can be read',
    async () => {
      const before = new Date().toISOString();
      await promote(2);
      expect(await world.routing()).toMatchObject({ epoch: 2, active: 2, previous: 1 });
      expect(await world.routing(before)).toMatchObject({ epoch: 1, active: 1 });
      const history = await world.send(
        'GET',
        '/v1/models/credit/envs/prod/routing/history?limit=1',
      );
      expect(history.body).toMatchObject({ items: [{ epoch: 2 }] });
      expect(await deployments()).toEqual([
        { version: 1, state: 'PREVIOUS', barred: false },
        { version: 2, state: 'ACTIVE', barred: false },
      ]);
    },
  );

  story('is promoted after its shadow passed, and nothing is captured afterwards', async () => {
    const id = await world.release(2, { ...quick, shadow: quickShadow });
    await reached(id, 'SHADOWING');
    expect((await world.routing()).shadow).toMatchObject([{ version: 2, sampleRateBp: 10_000 }]);
    await world.pairs(id, { agree: 400 });
    const view = await ended(id, 'SUCCEEDED');
    expect(view.shadow).toMatchObject({ state: 'PASSED' });
    expect(view.epochs.map(({ move }) => move)).toEqual(['shadow', 'promote']);
    expect(await world.routing()).toMatchObject({ active: 2, previous: 1, shadow: [] });
  });

  story(
    'is turned back and barred when its shadow fails; the active version never moved',
    async () => {
      const id = await world.release(2, { ...quick, shadow: quickShadow });
      await reached(id, 'SHADOWING');
      await world.pairs(id, { agree: 30, fail: 30 });
      const view = await ended(id, 'ROLLED_BACK');
      expect(view).toMatchObject({ cause: 'SHADOW_FAILED', shadow: { state: 'FAILED' } });
      expect(await world.routing()).toMatchObject({ epoch: 3, active: 1, shadow: [] });
      expect(await deployments()).toEqual([
        { version: 1, state: 'ACTIVE', barred: false },
        { version: 2, state: 'ROLLED_BACK', barred: true },
      ]);
    },
  );

  story(
    'pauses when its shadow needs a person, captures no longer, and goes on when one proceeds',
    async () => {
      const id = await world.release(2, { ...quick, shadow: quickShadow });
      await reached(id, 'SHADOWING');
      await world.pairs(id, { agree: 50, differ: 50 });
      const paused = await reached(id, 'PAUSED');
      expect(paused).toMatchObject({ waitingOn: 'human', shadow: { state: 'REVIEW' } });
      expect(Date.parse(paused.nextAt ?? '') - Date.parse(paused.since)).toBeGreaterThan(
        86_000_000,
      );
      expect((await world.routing()).shadow).toEqual([]);
      expect((await world.order(id, 'resume')).body).toMatchObject({
        allowed: ['proceed', 'abort'],
      });
      expect((await world.order(id, 'proceed', 'I read the pairs')).status).toBe(202);
      const view = await ended(id, 'SUCCEEDED');
      expect(view.steps.find(({ reason }) => reason === 'I read the pairs')).toMatchObject({
        state: 'PROMOTING',
        actor: 'prn_engineer',
      });
    },
  );

  story('goes back when nobody decides in time', async () => {
    const plan = { ...quick, shadow: quickShadow, pauseTimeoutMs: 400 };
    const id = await world.release(2, plan);
    await reached(id, 'SHADOWING');
    await world.pairs(id, { differ: 100 });
    expect(await ended(id, 'ROLLED_BACK')).toMatchObject({ cause: 'PAUSE_TIMEOUT' });
    expect(await world.routing()).toMatchObject({ active: 1, shadow: [] });
  });

  story(
    'goes back by an epoch more when a process does not hold the epoch in time, and names it',
    async () => {
      const plan = { ...quick, propagationTimeoutMs: 1_500 };
      const id = await world.release(2, plan, {});
      await world.sql(
        `insert into serving_lease (tenant_id, env, kind, name, process_id, role, epoch, ready, seen_at)
       values ($1, 'prod', 'model', 'credit', 'prc_stuck', 'inference', 1, '{1,2}', now() + interval '10 seconds')`,
      );
      const view = await ended(id, 'ROLLED_BACK');
      expect(view.cause).toBe('PROPAGATION_TIMEOUT');
      expect(view.laggards.join()).toContain('prc_stuck holds epoch 1');
      expect(view.epochs).toMatchObject([
        { epoch: 2, active: 2, previous: 1, move: 'promote' },
        { epoch: 3, active: 1, previous: null, move: 'restore' },
      ]);
      expect(await world.routing()).toMatchObject({ minEpoch: 3 });
    },
  );

  story('goes back when requests fail under the new epoch, and needs a new approval', async () => {
    const id = await world.release(2, { ...quick, verifyMs: 60_000 });
    await reached(id, 'VERIFYING');
    await world.decisions({ epoch: 2, version: 2, state: 'FAILED' }, 30);
    expect(await ended(id, 'ROLLED_BACK')).toMatchObject({ cause: 'ERROR_RATE' });
    const { approvalId } = await world.view(id);
    const again = { version: 2, approvalId, ...quick, verifyMs: 60_000 };
    const path = '/v1/models/credit/envs/prod/releases';
    expect((await world.send('POST', path, { body: again })).body.code).toBe('VERSION_BARRED');
    await promote(2);
    expect(await world.routing()).toMatchObject({ active: 2 });
  });

  story(
    'bakes labels: passes when they agree with the evaluation, goes back when they do not',
    async () => {
      const primaryMetric = { name: 'accuracy', labelWindowMs: 60_000, minLabels: 50 };
      const plan = { ...quick, primaryMetric, labelTickMs: 50 };
      const id = await world.release(2, plan);
      await world.sql(
        `insert into evaluation (tenant_id, evaluation_id, model, version, state, input, report, requested_by)
       select $1, evaluation_id, 'credit', 2, 'COMPLETED', '{}', '{"metrics":{"accuracy":{"value":0.9}}}', 'x'
       from approval where tenant_id = $1 and version = 2`,
      );
      await reached(id, 'BAKING_LABELS');
      expect((await world.view(id)).waitingOn).toBe('labels');
      await world.decisions({ epoch: 2, version: 2, predicted: 'good', label: 'bad' }, 60);
      const view = await ended(id, 'ROLLED_BACK');
      expect(view.cause).toBe('LABEL_ERROR');
      const check = view.steps.find(({ state }) => state === 'ROLLING_BACK')?.checks[0];
      expect(check).toMatchObject({ check: 'label_error', verdict: 'FAIL', n: 60, value: 0 });
    },
  );

  story('waits out a freeze and is promoted when it ends', async () => {
    const until = Date.now() + 6_000;
    const window = {
      from: new Date(until - 60_000).toISOString(),
      to: new Date(until).toISOString(),
    };
    const id = await world.release(2, { ...quick, freezeWindows: [window] });
    const frozen = await eventually(async () => {
      const view = await world.view(id);
      expect(view).toMatchObject({ state: 'PROMOTING', waitingOn: 'freeze' });
      return view;
    });
    expect(frozen.nextAt).toBe(window.to);
    const view = await ended(id, 'SUCCEEDED');
    expect(Date.parse(view.epochs[0]?.at ?? '')).toBeGreaterThanOrEqual(until);
  });

  story(
    'is held by a kill switch of its version and goes on when two people have lifted it',
    async () => {
      const id = await world.release(2, { ...quick, shadow: quickShadow });
      await reached(id, 'SHADOWING');
      const kill = await world.kill({ level: 'version', model: 'credit', version: 2 });
      expect(kill.status).toBe(201);
      await reached(id, 'PAUSED');
      const killId = kill.body.id as string;
      const lift = (verb: string, subject: string, role: 'operator' | 'approver') =>
        world.send('POST', `/v1/kill-switches/${killId}:${verb}`, {
          subject,
          roles: [role],
          body: { reason: 'fixed' },
        });
      expect((await lift('request-lift', 'prn_one', 'operator')).status).toBe(200);
      expect((await lift('confirm-lift', 'prn_one', 'approver')).body.code).toBe(
        'SEPARATION_OF_DUTIES',
      );
      expect((await lift('confirm-lift', 'prn_two', 'approver')).body.state).toBe('LIFTED');
      await world.order(id, 'resume');
      await reached(id, 'SHADOWING');
      await world.pairs(id, { agree: 400 });
      await ended(id, 'SUCCEEDED');
    },
  );

  story('is cancelled in Temporal and goes back', async () => {
    const id = await world.release(2, { ...quick, verifyMs: 60_000 });
    await reached(id, 'VERIFYING');
    await handle(id).cancel();
    expect(await ended(id, 'ROLLED_BACK')).toMatchObject({ cause: 'CANCELLED' });
    expect(await world.routing()).toMatchObject({ epoch: 3, active: 1 });
  });

  story('is superseded: the first goes back, then the second takes its turn', async () => {
    const first = await world.release(2, { ...quick, verifyMs: 60_000 });
    await reached(first, 'VERIFYING');
    const second = await world.release(3, quick, { supersede: true });
    await ended(first, 'SUPERSEDED');
    await ended(second, 'SUCCEEDED');
    expect(await world.routing()).toMatchObject({ epoch: 4, active: 3, previous: 1 });
  });

  story('goes on over continue-as-new with what Postgres knows', async () => {
    world.maxHistoryEvents = 40;
    const id = await world.release(2, { ...quick, shadow: { ...quickShadow, tickMs: 100 } });
    world.maxHistoryEvents = 1_500;
    await reached(id, 'SHADOWING');
    const { runId: first } = await handle(id).describe();
    await eventually(async () => expect((await handle(id).describe()).runId).not.toBe(first));
    await world.pairs(id, { agree: 400 });
    await ended(id, 'SUCCEEDED');
    expect(await world.routing()).toMatchObject({ epoch: 3, active: 2 });
  });
});
