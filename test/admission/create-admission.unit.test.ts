import {
  createAdmission,
  createBacklogLoop,
  type AdmissionDeps,
} from '../../src/activities/admission/index.js';
import { defaultAdaptiveLimit } from '../../src/domain/admission/adaptive-limit.js';
import { defaultShares } from '../../src/domain/admission/class-of-request.js';
import type { AdmissionClass, RequestBody } from '../../src/domain/admission/contract.js';

const allowed = { allowed: true } as const;
const refused = { allowed: false, limit: 5, windowMs: 60_000, waitMs: 9_000 } as const;

function world(over: Partial<AdmissionDeps> = {}) {
  const shed: string[] = [];
  let nowMs = 0;
  const admission = createAdmission({
    take: () => allowed,
    fail: async () => allowed,
    standing: () => allowed,
    limit: { ...defaultAdaptiveLimit, initial: 8 },
    shares: defaultShares,
    controlCount: 3,
    streamCount: 2,
    monotonicMs: () => nowMs,
    refused: ({ class: name, reason }) => void shed.push(`${name} ${reason}`),
    ...over,
  });
  const enter = (
    name: AdmissionClass,
    { body = 'here', tenant = 't', key = 'k' }: Partial<Asking> = {},
  ) => admission.enter({ class: name, body, operation: name, tenant, key });
  /** As often as it is let in, at most `count` times. */
  const fill = async (count: number, name: AdmissionClass, asking: Partial<Asking> = {}) => {
    const permits = [];
    for (let at = 0; at < count; at += 1) permits.push(await enter(name, asking));
    return permits.filter((permit) => 'release' in permit);
  };
  return { admission, enter, fill, shed, pass: (ms: number) => void (nowMs += ms) };
}

interface Asking {
  body: RequestBody;
  tenant: string;
  key: string;
}

const outcome = (of: object | undefined): string =>
  of === undefined || 'release' in of ? 'in' : String((of as { reason: string }).reason);

test('a full process lets control in, refuses the rest in their order, and says which limit it was', async () => {
  const { enter, shed } = world();
  const tried: string[] = [];
  for (let at = 0; at < 6; at += 1) tried.push(outcome(await enter('batch')));
  expect(tried).toEqual(['in', 'in', 'in', 'in', 'in', 'in']);
  expect(outcome(await enter('batch'))).toBe('concurrency');
  expect(outcome(await enter('durable'))).toBe('in');
  expect(outcome(await enter('durable'))).toBe('concurrency');
  expect(outcome(await enter('interactive'))).toBe('in');
  expect(await enter('interactive')).toEqual({
    reason: 'concurrency',
    class: 'interactive',
    limit: 8,
    waitMs: 1_000,
  });
  for (const tenant of ['t', 'u']) expect(outcome(await enter('control', { tenant }))).toBe('in');
  expect(shed).toEqual(['batch concurrency', 'durable concurrency', 'interactive concurrency']);
});

test('the reserve of the control plane is bounded by itself alone', async () => {
  const { enter } = world();
  const held = [];
  for (const tenant of ['a', 'b', 'c']) held.push(await enter('control', { tenant }));
  expect(held.map(outcome)).toEqual(['in', 'in', 'in']);
  expect(outcome(await enter('control', { tenant: 'd' }))).toBe('control');
  expect(outcome(await enter('interactive'))).toBe('in');
  const [first] = held;
  if (first !== undefined && 'release' in first) first.release(true);
  expect(outcome(await enter('control', { tenant: 'd' }))).toBe('in');
});

test('a tenant never has so much of the reserve that another one finds nothing', async () => {
  const { admission, enter, fill } = world({ controlCount: 64 });
  const first = await fill(100, 'control', { tenant: 'a' });
  const second = await fill(100, 'control', { tenant: 'b' });
  expect([first.length, second.length]).toEqual([32, 16]);
  expect(admission.state().inFlight.control).toBe(48);
  expect(await enter('control', { tenant: 'a' })).toMatchObject({ reason: 'control', limit: 64 });
  expect(outcome(await enter('control', { tenant: 'c' }))).toBe('in');
  for (const permit of first) permit.release(true);
  expect(await fill(100, 'control', { tenant: 'a' })).toHaveLength(24);
});

test('a place is given back once, however often that is said', async () => {
  const { admission, enter } = world();
  const permit = await enter('interactive');
  if (!('release' in permit)) throw new Error('refused');
  expect(admission.state().inFlight.interactive).toBe(1);
  permit.release(true);
  permit.release(false);
  expect(admission.state().inFlight.interactive).toBe(0);
});

test('uploads, which last as long as their callers like, fill no place of the others', async () => {
  const { admission, enter, fill, pass } = world();
  const upload = (tenant: string) => enter('batch', { body: 'upload', tenant });
  const [permit] = await fill(1, 'batch', { body: 'upload', tenant: 'a' });
  expect(outcome(await upload('b'))).toBe('in');
  expect(outcome(await upload('c'))).toBe('streams');
  expect(permit?.begin()).toBeUndefined();
  expect(admission.state()).toMatchObject({ streams: 2, inFlight: { batch: 0 } });
  expect(outcome(await enter('batch'))).toBe('in');
  pass(60_000);
  permit?.release(true);
  expect(admission.state()).toMatchObject({ streams: 1, inFlight: { batch: 1 } });
});

describe('a body that is on its way', () => {
  const slow = { limit: { ...defaultAdaptiveLimit, initial: 64, min: 64 }, streamCount: 256 };

  test('has no place among the requests at work until it is here, and gives its own back then', async () => {
    const { admission, enter, fill } = world({ streamCount: 256 });
    const coming = await fill(32, 'interactive', { body: 'coming' });
    expect(coming).toHaveLength(32);
    expect(admission.state()).toMatchObject({ streams: 32, inFlight: { interactive: 0 } });
    expect(outcome(await enter('interactive'))).toBe('in');
    const [first, second] = coming;
    expect([first?.begin(), first?.begin()]).toEqual([undefined, undefined]);
    expect(admission.state()).toMatchObject({ streams: 31, inFlight: { interactive: 2 } });
    first?.release(true);
    first?.release(true);
    second?.release(false);
    expect(second?.begin()).toBeUndefined();
    expect(admission.state()).toMatchObject({ streams: 30, inFlight: { interactive: 1 } });
  });

  test('is refused when it is here where its class has become full meanwhile, and holds nothing then', async () => {
    const { admission, fill, shed } = world();
    const [late] = await fill(1, 'interactive', { body: 'coming' });
    await fill(8, 'interactive');
    expect(late?.begin()).toEqual({
      reason: 'concurrency',
      class: 'interactive',
      limit: 8,
      waitMs: 1_000,
    });
    late?.release(false);
    expect(admission.state()).toMatchObject({ streams: 0, inFlight: { interactive: 8 } });
    expect(shed).toEqual(['interactive concurrency']);
  });

  test('is refused before it is read where its class is full already', async () => {
    const { admission, enter, fill } = world();
    await fill(8, 'interactive');
    expect(outcome(await enter('interactive', { body: 'coming' }))).toBe('concurrency');
    expect(admission.state().streams).toBe(0);
  });

  test('teaches the limit nothing: what is measured begins with its last byte', async () => {
    const { admission, fill, pass } = world(slow);
    const windowOf = async (bodyMs: number): Promise<number> => {
      const permits = await fill(60, 'interactive', { body: 'coming' });
      pass(bodyMs);
      for (const permit of permits) permit.begin();
      pass(10);
      for (const permit of permits) permit.release(true);
      admission.tick({ loopLagMs: 0, poolWaitMs: 0 });
      return admission.state().limit;
    };
    for (let window = 0; window < 10; window += 1) await windowOf(1);
    const usual = admission.state().limit;
    expect(await windowOf(5_000)).toBeGreaterThanOrEqual(usual);
  });

  test('of one key leaves places for other keys of its tenant, and of one tenant for other tenants', async () => {
    const { enter, fill, shed } = world({ ...slow, controlCount: 64 });
    const coming = (tenant: string, key: string) => ({ body: 'coming' as const, tenant, key });
    const counts = [];
    for (const [tenant, key] of [
      ['a', '1'],
      ['a', '2'],
      ['b', '1'],
    ] as const)
      counts.push((await fill(300, 'interactive', coming(tenant, key))).length);
    expect(counts).toEqual([64, 32, 40]);
    expect(shed.every((each) => each === 'interactive streams')).toBe(true);
    // Bodies of the control plane have places of their own.
    expect(await fill(300, 'control', coming('a', '1'))).toHaveLength(16);
    expect(outcome(await enter('control', coming('a', '2')))).toBe('in');
    expect(outcome(await enter('control', { tenant: 'a' }))).toBe('in');
  });
});

test('the limit follows how long requests take: congestion lowers it, and the next ones are refused earlier', async () => {
  const { admission, enter, pass } = world({ limit: { ...defaultAdaptiveLimit, initial: 64 } });
  const permit = await enter('interactive');
  pass(20);
  if ('release' in permit) permit.release(true);
  for (let window = 0; window < 20; window += 1) admission.tick({ loopLagMs: 500, poolWaitMs: 0 });
  expect(admission.state().limit).toBe(defaultAdaptiveLimit.min);
  const tried: string[] = [];
  for (let at = 0; at < 64; at += 1) tried.push(outcome(await enter('interactive')));
  expect(tried.filter((each) => each === 'in')).toHaveLength(defaultAdaptiveLimit.min);
});

test('an address whose proofs failed too often is refused before its requests are counted', async () => {
  let counted = 0;
  const { admission } = world({
    standing: () => refused,
    take: () => {
      counted += 1;
      return allowed;
    },
  });
  expect(await admission.arrive({ address: '10.0.0.1', class: 'interactive' })).toEqual({
    reason: 'failures',
    class: 'interactive',
    limit: 5,
    windowMs: 60_000,
    waitMs: 9_000,
  });
  expect(counted).toBe(0);
});

test('key before tenant, both before a place, and control calls in counts of their own', async () => {
  const asked: string[] = [];
  const { admission, enter } = world({
    take: ({ scope, control }) => {
      asked.push(`${scope} ${control}`);
      return scope === 'tenant' && !control ? refused : allowed;
    },
  });
  expect(outcome(await enter('interactive'))).toBe('tenant');
  expect(outcome(await enter('control'))).toBe('in');
  expect(asked).toEqual(['key false', 'tenant false', 'key true', 'tenant true']);
  expect(admission.state().inFlight.interactive).toBe(0);
});

describe('the gate of durable starts', () => {
  const late = { byPriority: { 3: { tasks: 100, ageMs: 0 } }, dispatchPerSecond: 1 };
  const start = { priority: 3, deadlineMs: 60_000 };

  /** One look at the queue. */
  async function looked(read: () => Promise<typeof late>) {
    const stop = new AbortController();
    const warnings: string[] = [];
    let nowMs = 0;
    let unknown = 0;
    const gate = createBacklogLoop({
      read,
      everyMs: 1,
      freshMs: 10_000,
      monotonicMs: () => nowMs,
      log: { warn: (_facts, message) => void warnings.push(message) },
      observe: (backlog) => {
        if (backlog === undefined) unknown += 1;
        stop.abort();
      },
    });
    await gate.run(stop.signal);
    return { gate, warnings, unknown: () => unknown, pass: (ms: number) => void (nowMs += ms) };
  }

  test('says by how much a start would be late, and lets those through that have time', async () => {
    const { gate } = await looked(async () => late);
    expect(gate.lateBy(start)).toBe(40_000);
    expect(gate.lateBy({ ...start, deadlineMs: 3_600_000 })).toBeUndefined();
    expect(gate.lateBy({ ...start, priority: 1 })).toBeUndefined();
  });

  test('fails open: where Temporal does not answer, or has not for long, every start is let through', async () => {
    const { gate, warnings, unknown } = await looked(() => Promise.reject(new Error('gone')));
    expect([gate.lateBy(start), unknown()]).toEqual([undefined, 1]);
    expect(warnings).toEqual(['the backlog of Temporal is not known; starts are let through']);
    const stale = await looked(async () => late);
    stale.pass(10_001);
    expect(stale.gate.lateBy(start)).toBeUndefined();
  });
});
