import { createRoutingFollowerLoop } from '../../src/activities/release/routing-follower-loop.js';
import { PlatformError } from '../../src/domain/errors.js';
import type { FollowedTarget, HeldTarget } from '../../src/domain/release/record.js';
import { eventually } from '../support/eventually.js';

const target = { env: 'prod', kind: 'model', name: 'credit' } as const;
const followed = (epoch: number, active: number, candidates: number[] = []): FollowedTarget => ({
  ...target,
  candidates,
  routing: {
    ...target,
    epoch,
    active,
    previous: null,
    arms: [],
    shadow: [],
    kills: [],
    minEpoch: 1,
    releaseId: null,
    salt: '',
  },
});

/** A store of one tenant that a test moves, and the process that follows it. */
function start(role: 'api' | 'inference', prepare: (version: number) => Promise<unknown>) {
  const store: {
    targets: FollowedTarget[];
    reports: HeldTarget[][];
    left: string[];
    away: boolean;
  } = { targets: [], reports: [], left: [], away: false };
  let ring: (tenant: string) => void = () => undefined;
  const loads: number[] = [];
  const follower = createRoutingFollowerLoop({
    processId: 'prc_1',
    role,
    tenants: () => Promise.resolve(['t1']),
    follow: (_tenant, _process, held) => {
      if (store.away) return Promise.reject(new PlatformError('STORE_UNAVAILABLE', 'away'));
      if (held !== undefined) store.reports.push(held);
      return Promise.resolve(store.targets);
    },
    leave: (tenant) => {
      store.left.push(tenant);
      return Promise.resolve();
    },
    listen: (handlers, signal) => {
      ring = handlers.onNotice;
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    },
    prepareVersion: ({ version }) => {
      loads.push(version);
      return prepare(version);
    },
    log: { warn: () => undefined },
    intervals: { pollMs: 40, leaseMs: 100_000, tenantsMs: 10 },
  });
  const stop = new AbortController();
  const done = follower.run(stop.signal);
  const latest = () => store.reports.at(-1)?.[0];
  const end = async () => {
    stop.abort();
    await done;
  };
  return { follower, store, loads, latest, end, notice: () => ring('t1') };
}

describe('a serving process that follows the pointer', () => {
  it('reports an epoch as held only once what serves under it is loaded and probed', async () => {
    let loaded: (value: unknown) => void = () => undefined;
    const world = start('inference', () => new Promise((resolve) => (loaded = resolve)));
    world.store.targets = [followed(5, 7)];
    await eventually(() => expect(world.latest()).toMatchObject({ epoch: 0, ready: [] }));
    loaded(undefined);
    await eventually(() => expect(world.latest()).toMatchObject({ epoch: 5, ready: [7] }));
    expect(world.loads).toEqual([7]);
    await world.end();
  });

  it('keeps the epoch it holds while the next one needs a version that cannot be loaded, and says why', async () => {
    const world = start('inference', (version) =>
      version === 8
        ? Promise.reject(new PlatformError('GOLDEN_MISMATCH', 'probe 2 differs'))
        : Promise.resolve(),
    );
    world.store.targets = [followed(5, 7)];
    await eventually(() => expect(world.latest()).toMatchObject({ epoch: 5 }));
    world.store.targets = [followed(6, 8)];
    world.notice();
    await eventually(() =>
      expect(world.latest()).toMatchObject({
        epoch: 5,
        failures: { 8: 'GOLDEN_MISMATCH: probe 2 differs' },
      }),
    );
    // The copy that requests are resolved by is the newest all the same.
    expect(world.follower.resolve('t1', target)?.epoch).toBe(6);
    await world.end();
  });

  it('loads candidates and PREVIOUS before they get traffic', async () => {
    const world = start('inference', () => Promise.resolve());
    world.store.targets = [followed(5, 7, [9])];
    await eventually(() => expect(world.latest()).toMatchObject({ ready: [7, 9] }));
    await world.end();
  });

  it('as an API process resolves and holds without loading anything', async () => {
    const world = start('api', () => Promise.reject(new Error('never called')));
    world.store.targets = [followed(5, 7)];
    await eventually(() => expect(world.latest()).toMatchObject({ epoch: 5, ready: [] }));
    expect(world.loads).toEqual([]);
    await world.end();
  });

  it('keeps the last copy while the store is away, ages, and is fresh again when it returns', async () => {
    const world = start('api', () => Promise.resolve());
    world.store.targets = [followed(5, 7)];
    await eventually(() => expect(world.follower.staleForMs()).toBeLessThan(40));
    world.store.away = true;
    await eventually(() => expect(world.follower.staleForMs()).toBeGreaterThan(120));
    expect(world.follower.resolve('t1', target)?.active).toBe(7);
    world.store.away = false;
    await eventually(() => expect(world.follower.staleForMs()).toBeLessThan(60));
    await world.end();
  });

  it('takes its leases along when it stops', async () => {
    const world = start('api', () => Promise.resolve());
    world.store.targets = [followed(5, 7)];
    await eventually(() => expect(world.store.reports.length).toBeGreaterThan(0));
    await world.end();
    expect(world.store.left).toEqual(['t1']);
  });
});
