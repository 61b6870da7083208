import fc from 'fast-check';
import {
  nextStep,
  type AttemptPlan,
  type AttemptRecord,
  type NextStep,
} from '../../src/domain/inference/next-step.js';
import { failureClasses, type FailureClass } from '../../src/domain/inference/runtime.js';

const plan: AttemptPlan = {
  candidates: [
    { version: 2, accepts: [] },
    { version: 1, accepts: ['error', 'rate_limit'] },
  ],
  maxAttempts: 4,
  triesPerCandidate: 2,
  deadlineMs: 100_000,
  backoff: { baseMs: 250, capMs: 60_000 },
  retryAfterCapMs: 120_000,
};
const alone: AttemptPlan = { ...plan, candidates: [{ version: 2, accepts: [] }] };
const after = (
  classes: FailureClass[],
  of: AttemptPlan = alone,
  more: Partial<AttemptRecord> = {},
): NextStep =>
  nextStep(
    of,
    classes.map((failure) => ({ candidate: 0, class: failure, endedMs: 1_000, ...more })),
    { nowMs: 1_000, randomUnit: 0.5 },
  );

const terminal: FailureClass[] = ['caller', 'content_policy', 'killed', 'policy', 'budget'];
const outages: FailureClass[] = ['overload', 'server', 'network', 'timeout', 'worker_lost'];

const anyAttempt = (candidates: number) =>
  fc.record({
    candidate: fc.nat(candidates - 1),
    class: fc.constantFrom<FailureClass | 'ok'>('ok', ...failureClasses),
    endedMs: fc.integer({ min: 0, max: 90_000 }),
    retryAfterMs: fc.option(fc.nat(200_000), { nil: undefined }),
  });
const anyPlan = fc
  .record({
    accepts: fc.array(fc.subarray(['error', 'rate_limit', 'context'] as const), {
      minLength: 1,
      maxLength: 4,
    }),
    maxAttempts: fc.integer({ min: 1, max: 6 }),
    triesPerCandidate: fc.integer({ min: 1, max: 4 }),
    deadlineMs: fc.integer({ min: 1, max: 100_000 }),
  })
  .map(({ accepts, ...rest }): AttemptPlan => ({
    ...plan,
    ...rest,
    candidates: accepts.map((accept, at) => ({ version: at + 1, accepts: accept })),
  }));
const anySituation = anyPlan.chain((of) =>
  fc.record({
    plan: fc.constant(of),
    attempts: fc.array(anyAttempt(of.candidates.length), { maxLength: 6 }),
    nowMs: fc.integer({ min: 0, max: 110_000 }),
    randomUnit: fc.double({ min: 0, max: 0.999_999, noNaN: true }),
    ineligible: fc.uniqueArray(fc.nat(of.candidates.length - 1)).map((all) => new Set(all)),
  }),
);

describe('nextStep', () => {
  it('stops: whatever fails, a run ends after at most maxAttempts attempts', () => {
    fc.assert(
      fc.property(anyPlan, fc.infiniteStream(fc.nat(1_000)), (of, dice) => {
        const attempts: AttemptRecord[] = [];
        let nowMs = 0;
        for (let rounds = 0; rounds < 100; rounds++) {
          const draw = (n: number): number => (dice.next().value ?? 0) % n;
          const step = nextStep(of, attempts, { nowMs, randomUnit: 0.3 });
          if (step.kind === 'finish') return attempts.length <= of.maxAttempts;
          if (step.kind === 'wait') {
            expect(step.untilMs).toBeGreaterThan(nowMs);
            nowMs = step.untilMs;
            continue;
          }
          nowMs += draw(2_000);
          const failure = failureClasses[draw(failureClasses.length)] ?? 'server';
          attempts.push({ candidate: step.candidate, class: failure, endedMs: nowMs });
        }
        return false;
      }),
    );
  });

  it('never dispatches after the deadline, to an ineligible candidate or past the last attempt', () => {
    fc.assert(
      fc.property(anySituation, ({ plan: of, attempts, ...moment }) => {
        const step = nextStep(of, attempts, moment);
        if (step.kind === 'wait')
          return step.untilMs > moment.nowMs && step.untilMs < of.deadlineMs;
        if (step.kind === 'finish') return true;
        return (
          moment.nowMs < of.deadlineMs &&
          !moment.ineligible.has(step.candidate) &&
          attempts.length < of.maxAttempts &&
          step.candidate < of.candidates.length
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it('never goes on after an answer or a class that ends the request', () => {
    fc.assert(
      fc.property(
        anySituation,
        fc.constantFrom<FailureClass | 'ok'>('ok', ...terminal),
        ({ plan: of, attempts, ...moment }, last) => {
          const all = [...attempts, { candidate: 0, class: last, endedMs: moment.nowMs }];
          return nextStep(of, all, moment).kind === 'finish';
        },
      ),
    );
  });

  it('is a function: equal input, equal output', () => {
    fc.assert(
      fc.property(anySituation, ({ plan: of, attempts, ...moment }) => {
        expect(nextStep(of, attempts, moment)).toEqual(
          nextStep(structuredClone(of), structuredClone(attempts), structuredClone(moment)),
        );
      }),
    );
  });

  it('an elapsed wait is followed by the attempt it waited for', () => {
    const outage = fc.constantFrom<FailureClass>(...outages);
    const failed = fc.array(outage, { minLength: 1, maxLength: 3 });
    const unit = fc.double({ min: 0.01, max: 0.999_999, noNaN: true });
    fc.assert(
      fc.property(failed, unit, (classes, randomUnit) => {
        const attempts = classes.map((one, at) => ({ candidate: 0, class: one, endedMs: at * 99 }));
        const moment = { nowMs: attempts.at(-1)?.endedMs ?? 0, randomUnit };
        const step = nextStep(alone, attempts, moment);
        if (step.kind !== 'wait') return false;
        const almost = nextStep(alone, attempts, { ...moment, nowMs: step.untilMs - 1 });
        const later = nextStep(alone, attempts, { ...moment, nowMs: step.untilMs });
        expect(almost).toEqual(step);
        expect(later).toEqual({ kind: 'attempt', candidate: 0 });
        return true;
      }),
    );
  });

  it.each(outages)('waits with full jitter after %s where nobody else can answer', (failure) => {
    expect(after([failure])).toEqual({ kind: 'wait', untilMs: 1_125 });
    expect(after([failure, failure])).toEqual({ kind: 'wait', untilMs: 1_250 });
    expect(after([failure, failure, failure, failure])).toEqual({
      kind: 'finish',
      outcome: { state: 'FAILED', code: 'ALL_ATTEMPTS_FAILED' },
    });
  });

  it.each(outages)('tries %s twice at the active version, then the previous one', (failure) => {
    expect(after([failure], plan).kind).toBe('wait');
    expect(after([failure, failure], plan)).toEqual({ kind: 'attempt', candidate: 1 });
  });

  it('goes to the previous version at once where the active one cannot answer at all', () => {
    expect(after(['binding'], plan)).toEqual({ kind: 'attempt', candidate: 1 });
    expect(after(['rate'], plan)).toEqual({ kind: 'attempt', candidate: 1 });
  });

  it('repeats an answer outside the contract once, then says so', () => {
    expect(after(['invalid_output'])).toEqual({ kind: 'attempt', candidate: 0 });
    expect(after(['invalid_output', 'invalid_output'])).toEqual({
      kind: 'finish',
      outcome: { state: 'FAILED', code: 'OUTPUT_CONTRACT_VIOLATION' },
    });
  });

  it('obeys Retry-After up to its cap, and ends now where the wait would reach the deadline', () => {
    expect(after(['overload'], alone, { retryAfterMs: 5_000 })).toEqual({
      kind: 'wait',
      untilMs: 6_000,
    });
    expect(after(['rate'], alone, { retryAfterMs: 120_001 })).toMatchObject({
      outcome: { code: 'ALL_ATTEMPTS_FAILED' },
    });
    expect(after(['rate'], alone, { retryAfterMs: 99_500 })).toMatchObject({
      outcome: { state: 'EXPIRED', code: 'DEADLINE_EXCEEDED' },
    });
  });

  it('asks the previous version where a kill stops the active one, and fails where it stops both', () => {
    const moment = { nowMs: 0, randomUnit: 0 };
    expect(nextStep(plan, [], { ...moment, ineligible: new Set([0]) })).toEqual({
      kind: 'attempt',
      candidate: 1,
    });
    expect(nextStep(plan, [], { ...moment, ineligible: new Set([0, 1]) })).toMatchObject({
      outcome: { code: 'KILLED' },
    });
  });
});
