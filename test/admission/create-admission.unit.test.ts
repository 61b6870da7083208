import {
  createAdmission,
  createBacklogLoop,
  type AdmissionDeps,
} from '../../src/activities/admission/index.js';
import { defaultAdaptiveLimit } from '../../src/domain/admission/adaptive-limit.js';
import { defaultShares } from '../../src/domain/admission/class-of-request.js';
import type { AdmissionClass } from '../../src/domain/admission/contract.js';

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
  const enter = (name: AdmissionClass, upload = false) =>
    admission.enter({ class: name, upload, operation: name, tenant: 't', key: 'k' });
  return { admission, enter, shed, pass: (ms: number) => void (nowMs += ms) };
}

const outcome = (of: object): string =>
  'release' in of ? 'in' : String((of as { reason: string }).reason);

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
  expect([outcome(await enter('control')), outcome(await enter('control'))]).toEqual(['in', 'in']);
  expect(shed).toEqual(['batch concurrency', 'durable concurrency', 'interactive concurrency']);
});

test('the reserve of the control plane is bounded by itself alone', async () => {
  const { enter } = world();
  const held = [await enter('control'), await enter('control'), await enter('control')];
  expect(outcome(await enter('control'))).toBe('control');
  expect(outcome(await enter('interactive'))).toBe('in');
  const [first] = held;
  if (first !== undefined && 'release' in first) first.release(true);
  expect(outcome(await enter('control'))).toBe('in');
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
  const { admission, enter } = world();
  expect([outcome(await enter('batch', true)), outcome(await enter('batch', true))]).toEqual([
    'in',
    'in',
  ]);
  expect(outcome(await enter('batch', true))).toBe('streams');
  expect(admission.state()).toMatchObject({ streams: 2, inFlight: { batch: 0 } });
  expect(outcome(await enter('batch'))).toBe('in');
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
