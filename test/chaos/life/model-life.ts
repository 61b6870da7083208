import { ApiError, isPassing } from '../people.js';
import { LOAN, plan, shadowBounds, type TenantWorld } from './tenant-world.js';

// The life of a model, over and over: data, training, evaluation, approval, release, rollback, kill switch.

interface Life {
  world: TenantWorld;
  /** Counts the lives of this tenant. */
  n: number;
  test: string;
}

const routing = async ({ world }: Life) =>
  (await world.api.read(world.as('operator'), `/v1/models/${LOAN}/envs/prod/routing`)) as {
    active: number | null;
    previous: number | null;
    epoch: number;
  };

async function train({ world, n, test }: Life): Promise<number> {
  const snapshotId = await world.publish('train', n * 37);
  const started = await world.post('engineer', {
    op: 'train',
    path: `/v1/models/${LOAN}/training-runs`,
    body: {
      snapshotId,
      evaluationSnapshotId: test,
      target: 'defaulted',
      protectedAttributes: ['sex'],
      trainer: { kind: n % 3 === 1 ? 'gbt' : 'logistic', ...(n % 3 === 1 ? gbt : {}) },
      split: { strategy: 'provided' },
      budget: { maxMicroUsd: 0, maxWallClockMs: 600_000, maxGpuMs: 0 },
    },
  });
  const id = String(started['id']);
  const path = `/v1/training-runs/${id}`;
  const run = await world.api.follow(world.as('engineer'), { op: 'train', id, path });
  if (run['state'] !== 'REGISTERED') throw new Error(`${id} ended ${String(run['state'])}`);
  return Number(run['version']);
}

const gbt = { params: { trees: 40, depth: 3 } };

/** Evaluates a version, asks for its approval, and has it approved by someone else. */
async function approve({ world, test }: Life, version: number, rolloutPlan: object) {
  const path = `/v1/models/${LOAN}/versions/${version}`;
  const engineer = world.as('engineer');
  const started = await world.post('engineer', {
    op: 'evaluate',
    path: `${path}/evaluations`,
    body: { evaluationSnapshotId: test, protectedAttributes: ['sex'] },
  });
  const evaluationId = String(started['id']);
  await world.api.follow(engineer, {
    op: 'evaluate',
    id: evaluationId,
    path: `/v1/evaluations/${evaluationId}`,
  });
  const asked = await world.post('engineer', {
    op: 'ask-approval',
    path: `${path}/approval-requests`,
    body: { env: 'prod', evaluationId, rolloutPlan, comment: `Version ${version}.` },
  });
  const approvalId = String(asked['id']);
  const open = await world.api.read(world.as('approver'), `/v1/approvals/${approvalId}`);
  await world.post('approver', {
    op: 'approve',
    path: `/v1/approvals/${approvalId}:decide`,
    body: {
      decision: 'approve',
      subjectDigest: open['subjectDigest'],
      reason: 'The report passes and the plan is careful.',
      acknowledged: open['toAcknowledge'],
    },
  });
  return approvalId;
}

/** A release to its end; where its shadow cannot be judged, a person lets it go on. */
async function release({ world }: Life, of: { version: number; approvalId: string; plan: object }) {
  const started = await world.post('engineer', {
    op: 'release',
    path: `/v1/models/${LOAN}/envs/prod/releases`,
    body: { ...of.plan, version: of.version, approvalId: of.approvalId },
  });
  const id = String(started['id']);
  const path = `/v1/releases/${id}`;
  const operator = world.as('operator');
  for (;;) {
    const seen = await world.api.follow(operator, { op: 'release', id, path, until: ['PAUSED'] });
    if (seen['state'] !== 'PAUSED') return seen;
    const body = { reason: 'Nobody can wait for more pairs.' };
    await world
      .post('operator', { op: 'proceed', path: `${path}:proceed`, body })
      .catch((error: unknown) => {
        // An order takes effect a moment later; one that was given twice finds it gone on.
        if (!(error instanceof ApiError) || error.status !== 409) throw error;
      });
  }
}

/** Back to the version before, where there is one. */
async function rollBack(life: Life): Promise<void> {
  const { world } = life;
  for (;;) {
    const { epoch, previous } = await routing(life);
    if (previous === null) return;
    try {
      const started = await world.post('operator', {
        op: 'rollback',
        path: `/v1/models/${LOAN}/envs/prod/rollbacks`,
        body: { reason: 'Chaos goes back as well.' },
        ifMatch: epoch,
      });
      const id = String(started['id']);
      const path = `/v1/releases/${id}`;
      await world.api.follow(world.as('operator'), { op: 'rollback', id, path });
      return;
    } catch (error) {
      // The pointer moved between the look and the call: look again.
      if (!(error instanceof ApiError) || error.status !== 412) throw error;
    }
  }
}

/** Switches the active version off for a moment; the one before it answers. Two people switch it on again. */
async function killAndLift(life: Life): Promise<void> {
  const { world } = life;
  const { active, previous } = await routing(life);
  if (active === null || previous === null) return;
  const killed = await world.post('operator', {
    op: 'kill',
    path: '/v1/kill-switches',
    body: {
      scope: { level: 'version', model: LOAN, version: active },
      mode: 'fallback',
      reason: 'Chaos switches off as well.',
    },
  });
  const path = `/v1/kill-switches/${String(killed['id'])}`;
  const body = { reason: 'It was chaos.' };
  await world.post('operator', { op: 'ask-lift', path: `${path}:request-lift`, body });
  await world.post('approver', { op: 'lift', path: `${path}:confirm-lift`, body });
}

/** One life of a model; the first brings a version into production without a shadow. */
async function oneLife(life: Life): Promise<void> {
  const version = await train(life);
  const rollout = life.n === 0 ? plan : { ...plan, shadow: shadowBounds };
  const approvalId = await approve(life, version, rollout);
  const { state } = await release(life, { version, approvalId, plan: rollout });
  if (life.n === 0 && state !== 'SUCCEEDED')
    throw new Error(`the first release ended ${String(state)}`);
  if (life.n === 0) return;
  if (life.n % 2 === 0) await rollBack(life);
  await killAndLift(life);
}

/** Brings a first version into production, then lives on until it is told to stop. */
export function createModelLife(world: TenantWorld) {
  let test = '';
  let lives = 0;
  const live = async () => {
    await oneLife({ world, n: lives, test });
    lives += 1;
  };
  return {
    begin: async (): Promise<void> => {
      test = await world.publish('test');
      await live();
    },
    liveOn: async (stopping: AbortSignal): Promise<number> => {
      while (!stopping.aborted) {
        try {
          await live();
        } catch (error) {
          const what = error instanceof Error ? error.message : String(error);
          world.write({ line: 'failed', at: Date.now(), tenant: world.tenant, what });
          if (!isPassing(error)) lives += 1;
        }
      }
      return lives;
    },
  };
}
