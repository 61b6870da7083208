import { planDigest } from '../../src/domain/release/plan-digest.js';
import type { RollOutReleaseInput } from '../../src/domain/release/contract.js';
import { quick, quickShadow, ReleaseWorld } from './release-world.js';

let world: ReleaseWorld;

beforeAll(async () => {
  world = await ReleaseWorld.open();
});
beforeEach(async () => {
  world.started.length = 0;
  world.woken.length = 0;
  await world.renew();
});
afterAll(() => world.close());

const releases = '/v1/models/credit/envs/prod/releases';
const rollbacks = '/v1/models/credit/envs/prod/rollbacks';

describe('a release is asked for', () => {
  it('and its row, first step, intent and audit entry are in one transaction', async () => {
    const approvalId = await world.approve(1, quick);
    const body = { version: 1, approvalId, ...quick, reason: 'first' };
    const answer = await world.send('POST', releases, { body });
    expect(answer.status).toBe(202);
    const id = answer.body.id as string;
    expect(answer.body).toMatchObject({
      workflowId: `release/${world.tenant}/${id}`,
      status: 'PREFLIGHT',
      links: { self: `/v1/releases/${id}` },
    });
    const [start] = world.started;
    expect(start?.options.summary).toBe('credit v1 → prod');
    expect(start?.input as unknown as RollOutReleaseInput).toMatchObject({
      releaseId: id,
      version: 1,
      env: 'prod',
      maxHistoryEvents: 1_500,
      plan: { bakeMs: 0, steps: [] },
    });
    expect(await world.view(id)).toMatchObject({
      state: 'PREFLIGHT',
      planDigest: planDigest(quick),
      steps: [{ seq: 1, state: 'PREFLIGHT', actor: 'prn_engineer', reason: 'first' }],
      reportDigest: null,
    });
    const actions = await world.sql(
      `select entry::jsonb ->> 'action' as action from audit_entry where tenant_id = $1`,
    );
    expect(actions).toEqual([{ action: 'release.started' }]);
  });

  it('twice under one key and is one release', async () => {
    const approvalId = await world.approve(1, quick);
    const asked = { body: { version: 1, approvalId, ...quick }, key: 'same' };
    const first = await world.send('POST', releases, asked);
    const second = await world.send('POST', releases, asked);
    expect(second.body.id).toBe(first.body.id);
    expect(world.started).toHaveLength(1);
  });

  it('with fields that cannot be honoured: each is named, nothing is written', async () => {
    const approvalId = await world.approve(1, quick);
    const body = { version: 1, approvalId, strategy: 'canary', guardrails: ['cost'] };
    const answer = await world.send('POST', releases, { body });
    expect(answer).toMatchObject({ status: 422, body: { code: 'PLAN_UNSUPPORTED' } });
    expect((answer.body.errors as { pointer: string }[]).map(({ pointer }) => pointer)).toEqual([
      '/strategy',
      '/steps',
      '/guardrails/0',
    ]);
    expect((await world.send('GET', '/v1/releases')).body.items).toEqual([]);
  });

  it('with another plan than the approved one: 409 with what was approved', async () => {
    const approvalId = await world.approve(1, quick);
    const body = { version: 1, approvalId, ...quick, bakeMs: 1 };
    const answer = await world.send('POST', releases, { body });
    expect(answer).toMatchObject({
      status: 409,
      body: { code: 'PLAN_CHANGED', approved: { bakeMs: 0 } },
    });
  });

  it.each([2, 9])('for version %i with an approval of version 1: refused', async (version) => {
    const approvalId = await world.approve(1, quick);
    const body = { version, approvalId, ...quick };
    expect(await world.send('POST', releases, { body })).toMatchObject({
      status: 409,
      body: { code: 'APPROVAL_INVALID' },
    });
  });

  it('with an approval that is not given, or for another environment: refused', async () => {
    const approvalId = await world.approve(1, quick);
    await world.sql(`update approval set state = 'PENDING' where tenant_id = $1`);
    const body = { version: 1, approvalId, ...quick };
    expect(await world.send('POST', releases, { body })).toMatchObject({
      status: 409,
      body: { code: 'APPROVAL_INVALID', state: 'PENDING' },
    });
    const staging = '/v1/models/credit/envs/staging/releases';
    expect((await world.send('POST', staging, { body })).status).toBe(404);
  });

  it('for a withdrawn, a barred or the active version: refused', async () => {
    const approvalId = await world.approve(1, quick);
    const body = { version: 1, approvalId, ...quick };
    const code = async () => (await world.send('POST', releases, { body })).body.code;
    await world.sql(
      `insert into deployment (tenant_id, env, model, version, state, barred_at) values ($1, 'prod', 'credit', 1,
        'ROLLED_BACK', now() + interval '1 second')`,
    );
    expect(await code()).toBe('VERSION_BARRED');
    await world.sql(
      `update deployment set barred_at = now() - interval '1 hour' where tenant_id = $1`,
    );
    await world.sql(`update model_version set assurance = 'QUARANTINED' where tenant_id = $1`);
    expect(await code()).toBe('VERSION_NOT_RELEASABLE');
    await world.sql(`update model_version set assurance = 'APPROVED' where tenant_id = $1`);
    expect((await world.send('POST', releases, { body })).status).toBe(202);
  });

  it('with a shadow while nothing is active: refused, the shadow is not skipped', async () => {
    const plan = { ...quick, shadow: quickShadow };
    const approvalId = await world.approve(1, plan);
    const answer = await world.send('POST', releases, {
      body: { version: 1, approvalId, ...plan },
    });
    expect(answer).toMatchObject({
      status: 422,
      body: { code: 'PLAN_UNSUPPORTED', errors: [{ pointer: '/shadow' }] },
    });
  });

  it('by an approver of a high-risk model: refused, audited; by another person: accepted', async () => {
    await world.renew('high');
    const approvalId = await world.approve(1, quick, 'prn_engineer');
    const body = { version: 1, approvalId, ...quick };
    const own = await world.send('POST', releases, { body });
    expect(own).toMatchObject({ status: 403, body: { code: 'SEPARATION_OF_DUTIES' } });
    const refusals = await world.sql(
      `select count(*)::int as n from audit_entry where tenant_id = $1
        and entry::jsonb #>> '{after,code}' = 'SEPARATION_OF_DUTIES'`,
    );
    expect(refusals).toEqual([{ n: 1 }]);
    const other = await world.send('POST', releases, { body, subject: 'prn_other' });
    expect(other.status).toBe(202);
  });
});

describe('one release per target', () => {
  it('a second one is a 409 that names the first; fifty at once leave one', async () => {
    const approvalId = await world.approve(1, quick);
    const body = { version: 1, approvalId, ...quick };
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => world.send('POST', releases, { body })),
    );
    const won = answers.filter(({ status }) => status === 202);
    expect(won).toHaveLength(1);
    for (const lost of answers.filter(({ status }) => status !== 202)) {
      expect(lost).toMatchObject({
        status: 409,
        body: { code: 'RELEASE_IN_PROGRESS', running: won[0]?.body.id },
      });
    }
  });

  it('supersede waits behind the running one, which is ordered back; a third is refused', async () => {
    const first = await world.release(1);
    const second = await world.release(2, quick, { supersede: true });
    expect(await world.view(second)).toMatchObject({ queuedBehind: first, state: 'PREFLIGHT' });
    expect(world.woken.map(({ workflowId }) => workflowId)).toEqual([
      `release/${world.tenant}/${first}`,
    ]);
    await expect(world.release(3, quick, { supersede: true })).rejects.toThrow(
      'RELEASE_IN_PROGRESS',
    );
  });
});

describe('a rollback is asked for', () => {
  const body = { reason: 'complaints' };

  it('without the epoch it is 428, with an old one 412 that names the current', async () => {
    expect((await world.send('POST', rollbacks, { body })).status).toBe(428);
    expect(await world.send('POST', rollbacks, { body, ifMatch: 3 })).toMatchObject({
      status: 412,
      body: { code: 'STALE_EPOCH', epoch: 0 },
    });
  });

  it('to a version that was never active, or while there is none to go back to: 409', async () => {
    const never = { ...body, toVersion: 2 };
    for (const asked of [body, never]) {
      expect(await world.send('POST', rollbacks, { body: asked, ifMatch: 0 })).toMatchObject({
        status: 409,
        body: { code: 'ROLLBACK_TARGET_INVALID' },
      });
    }
  });

  it('while a release runs it is an order to abort that release', async () => {
    const running = await world.release(1);
    const answer = await world.send('POST', rollbacks, { body, ifMatch: 0 });
    expect(answer).toMatchObject({ status: 202, body: { id: running } });
    const orders = await world.sql(
      'select command, reason from release_command where tenant_id = $1',
    );
    expect(orders).toEqual([{ command: 'abort', reason: 'complaints' }]);
  });
});

describe('orders and reads', () => {
  it('an order that is not legal is a 409 that lists what is', async () => {
    const id = await world.release(1);
    expect(await world.order(id, 'proceed')).toMatchObject({
      status: 409,
      body: { code: 'ILLEGAL_TRANSITION', from: 'PREFLIGHT', allowed: ['abort'] },
    });
  });

  it('neither another tenant nor another environment sees or moves a release', async () => {
    const id = await world.release(1);
    for (const who of [{ tenant: 't-other' }, { env: 'staging' as const }]) {
      expect((await world.send('GET', `/v1/releases/${id}`, who)).status).toBe(404);
      expect((await world.send('GET', '/v1/releases', who)).body.items).toEqual([]);
      const order = { ...who, body: { reason: 'mine' } };
      expect((await world.send('POST', `/v1/releases/${id}:abort`, order)).status).toBe(404);
    }
    expect(await world.sql('select 1 from release_command where tenant_id = $1')).toEqual([]);
  });

  it('a role without the permission is refused', async () => {
    const id = await world.release(1);
    const order = { roles: ['ml-engineer' as const], body: { reason: 'mine' } };
    expect((await world.send('POST', `/v1/releases/${id}:pause`, order)).status).toBe(403);
  });
});
