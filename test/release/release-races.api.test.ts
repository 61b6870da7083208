import { createKillStore } from '../../src/adapters/postgres/release-kills.js';
import { createPointerMoves } from '../../src/adapters/postgres/release-pointer.js';
import type { ReleaseMachine } from '../../src/domain/release/transitions.js';
import { openDatabase, type Database } from '../../src/adapters/postgres/database.js';
import { ReleaseWorld, workerCaller } from './release-world.js';

let world: ReleaseWorld;
/** A pool wide enough for a real barrier. */
let wide: Database;

beforeAll(async () => {
  world = await ReleaseWorld.open();
  const url = world.database.urls.worker;
  wide = openDatabase({ url, poolSize: 30, applicationName: 'anneal-test', patienceMs: 60_000 });
});
beforeEach(() => world.renew());
afterAll(async () => {
  await wide.close();
  await world.close();
});

const machine: ReleaseMachine = {
  state: 'VERIFYING',
  pausedFrom: null,
  pauseReason: null,
  cause: null,
};

/** A release that is about to promote. */
async function promoting(version: number): Promise<string> {
  const id = await world.release(version);
  await world.sql(
    `update release set state = 'PROMOTING' where tenant_id = $1 and release_id = $2`,
    [id],
  );
  return id;
}

const promote = (releaseId: string, expectedEpoch = 0) =>
  createPointerMoves(wide).promoteVersion(workerCaller(world.tenant), {
    releaseId,
    expectedSeq: 1,
    expectedEpoch,
    machine,
    approval: null,
  });

const pointer = async () => {
  const [row] = await world.sql(
    'select epoch, active, min_epoch, kill is not null as killed from routing where tenant_id = $1',
  );
  return row;
};

describe('races on the pointer', () => {
  it('a hundred promotions of one release at a barrier are one epoch step', async () => {
    const id = await promoting(1);
    const moves = await Promise.all(Array.from({ length: 100 }, () => promote(id)));
    expect(moves.filter(({ moved }) => moved)).toHaveLength(1);
    expect(await pointer()).toMatchObject({ epoch: 1, active: 1 });
    const written = await world.sql(
      `select (select count(*)::int from routing_history where tenant_id = $1) as epochs,
        (select count(*)::int from release_step where tenant_id = $1) as steps,
        (select count(*)::int from audit_entry where tenant_id = $1 and entry::jsonb ->> 'action' = 'release.promoted') as audited`,
    );
    expect(written).toEqual([{ epochs: 1, steps: 2, audited: 1 }]);
  }, 30_000);

  it('promotions of several releases on one epoch: one moves it, the rest find it stale', async () => {
    // Past the index that allows one running release per target: the pointer itself has to hold.
    const { asSuperuser } = world.database;
    await asSuperuser('drop index release_running_key');
    const first = await promoting(1);
    const ids = [first];
    for (let n = 0; n < 4; n++) {
      const [copy] = await world.sql(
        `insert into release select (jsonb_populate_record(r, jsonb_build_object('release_id', 'rel_' || gen_random_uuid()))).*
         from release r where tenant_id = $1 and release_id = $2 returning release_id`,
        [first],
      );
      ids.push(String(copy?.release_id));
    }
    const moves = await Promise.all(ids.flatMap((id) => [promote(id), promote(id)]));
    expect(moves.filter(({ moved }) => moved)).toHaveLength(1);
    expect(await pointer()).toMatchObject({ epoch: 1 });
    await world.sql('update release set ended_at = now() where tenant_id = $1');
    await asSuperuser(
      `create unique index release_running_key on release (tenant_id, env, kind, name)
       where ended_at is null and queued_behind is null`,
    );
  });

  it('a kill that comes at the same moment stays on, whichever commits first', async () => {
    for (let round = 0; round < 20; round++) {
      await world.renew();
      const id = await promoting(1);
      const kill = createKillStore(world.database.api).createKill(workerCaller(world.tenant), {
        scope: { level: 'model', model: 'credit' },
        mode: 'fail_closed',
        reason: 'harm',
        env: 'prod',
      });
      const [move] = await Promise.all([promote(id), kill]);
      const now = await pointer();
      if (move.moved) {
        // The promotion was first: the kill found the pointer and took it.
        expect(now).toEqual({ epoch: 2, active: 1, min_epoch: 2, killed: true });
      } else {
        expect(move.reason).toBe('KILLED');
        expect(now).toBeUndefined();
      }
    }
  }, 30_000);

  it('a promotion that was decided before a kill does not move the pointer after it', async () => {
    await promote(await promoting(1));
    await world.sql(`update release set ended_at = now() where tenant_id = $1`);
    await world.sql(`update routing set release_id = null where tenant_id = $1`);
    const id = await promoting(2);
    await world.kill({ level: 'version', model: 'credit', version: 1 });
    expect(await promote(id, 1)).toMatchObject({ moved: false, reason: 'STALE_EPOCH' });
    expect(await pointer()).toEqual({ epoch: 2, active: 1, min_epoch: 2, killed: true });
  });

  it('a nonce is consumed once: a second release with the same approval moves nothing', async () => {
    const id = await promoting(1);
    const [approval] = await world.sql(
      `select approval_id, nonce from approval_decision where tenant_id = $1`,
    );
    await world.sql(
      `insert into approval_nonce (tenant_id, nonce, approval_id, release_id) values ($1, $2, $3, 'rel_other')`,
      [approval?.nonce, approval?.approval_id],
    );
    const used = {
      approvalId: String(approval?.approval_id),
      nonces: [String(approval?.nonce)],
    };
    const move = createPointerMoves(wide).promoteVersion(workerCaller(world.tenant), {
      releaseId: id,
      expectedSeq: 1,
      expectedEpoch: 0,
      machine,
      approval: used,
    });
    await expect(move).rejects.toMatchObject({ code: 'APPROVAL_INVALID' });
    expect(await pointer()).toBeUndefined();
    expect((await world.view(id)).state).toBe('PROMOTING');
  });
});

describe('a kill switch', () => {
  it('is in force on every pointer in scope in one transaction, and names who does not hold it', async () => {
    await promote(await promoting(1));
    const follower = world.serve('api');
    const path = '/v1/models/credit/envs/prod/routing';
    expect((await world.send('GET', path)).headers.get('etag')).toBe('"1"');
    await world.sql(
      `insert into serving_lease (tenant_id, env, kind, name, process_id, role, epoch, ready)
       values ($1, 'prod', 'model', 'credit', 'prc_late', 'inference', 1, '{1}')`,
    );
    const answer = await world.kill({ level: 'tenant' }, 'fail_closed');
    expect(answer.body).toMatchObject({
      state: 'ACTIVE',
      targets: [{ kind: 'model', name: 'credit', epoch: 2 }],
    });
    const seen = await world.send('GET', `/v1/kill-switches/${String(answer.body.id)}`);
    expect((seen.body.laggards as string[]).join()).toContain('prc_late holds epoch 1');
    expect(await world.send('GET', '/v1/kill-switches?state=ACTIVE')).toMatchObject({
      body: { items: [{ id: answer.body.id }] },
    });
    await world.unserve();
    expect(follower.staleForMs()).toBeGreaterThan(0);
  });

  it('of an unknown model or version is a 404, and of an unknown scope a 400', async () => {
    expect((await world.kill({ level: 'model', model: 'nobody' })).status).toBe(404);
    expect((await world.kill({ level: 'version', model: 'credit', version: 99 })).status).toBe(404);
    expect((await world.kill({ level: 'planet' })).status).toBe(400);
  });

  it('reaches a serving process within a second', async () => {
    await promote(await promoting(1));
    const follower = world.serve('api');
    const target = { env: 'prod', kind: 'model', name: 'credit' } as const;
    const held = async (epoch: number) => {
      const deadline = performance.now() + 5_000;
      while ((follower.resolve(world.tenant, target)?.epoch ?? 0) < epoch) {
        if (performance.now() > deadline) throw new Error('never held');
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    await held(1);
    await world.kill({ level: 'model', model: 'credit' });
    const startedAt = performance.now();
    await held(2);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(follower.resolve(world.tenant, target)?.kills).toMatchObject([{ mode: 'fallback' }]);
    await world.unserve();
  });
});
