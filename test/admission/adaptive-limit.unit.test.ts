import fc from 'fast-check';
import {
  defaultAdaptiveLimit as settings,
  initialLimit,
  nextLimit,
  type AdaptiveLimit,
  type LoadSample,
} from '../../src/domain/admission/adaptive-limit.js';

const sample = (of: Partial<LoadSample> & { ms?: number } = {}): LoadSample => {
  const { ms = 10, ...rest } = of;
  return {
    latencies: { read: { count: 100, totalMs: 100 * ms } },
    peakInFlight: 10_000,
    loopLagMs: 0,
    poolWaitMs: 0,
    ...rest,
  };
};

/** The state after so many windows of the same kind. */
const after = (from: AdaptiveLimit, windows: number, of: LoadSample): AdaptiveLimit => {
  let state = from;
  for (let at = 0; at < windows; at += 1) state = nextLimit(state, of, settings);
  return state;
};

const calm = after(initialLimit(settings), 50, sample());

test('the limit grows while requests that fill it take as long as usual, and never above its bound', () => {
  expect(calm.limit).toBeGreaterThan(settings.initial);
  expect(after(calm, 2_000, sample()).limit).toBe(settings.max);
});

test('it falls where requests take three times as long as usual, at half again as long it holds', () => {
  const slower = after(calm, 5, sample({ ms: 30 }));
  expect(slower.limit).toBeLessThan(calm.limit * 0.7);
  expect(after(calm, 5, sample({ ms: 14 })).limit).toBeGreaterThan(calm.limit);
});

test('another mix of operations, each as fast as usual, is no slowness', () => {
  const both = sample({
    latencies: { read: { count: 50, totalMs: 500 }, train: { count: 50, totalMs: 20_000 } },
  });
  const known = after(initialLimit(settings), 50, both);
  const slowOnly = sample({ latencies: { train: { count: 100, totalMs: 40_000 } } });
  expect(after(known, 5, slowOnly).limit).toBeGreaterThan(known.limit);
});

test.each([
  ['an event loop that lags', { loopLagMs: settings.loopLagMs + 1 }],
  ['a database pool that keeps requests waiting', { poolWaitMs: settings.poolWaitMs + 1 }],
])('%s lowers it by a factor a window, down to its least and no further', (_, load) => {
  const once = nextLimit(calm, sample(load), settings);
  expect(once.limit).toBeCloseTo(calm.limit * settings.backoff);
  expect(once.usual).toEqual(calm.usual);
  expect(after(calm, 100, sample(load)).limit).toBe(settings.min);
});

test('at the thresholds themselves nothing is congested', () => {
  const load = { loopLagMs: settings.loopLagMs, poolWaitMs: settings.poolWaitMs };
  expect(nextLimit(calm, sample(load), settings).limit).toBeGreaterThan(calm.limit);
});

test('what nobody used is not judged: it keeps, and comes back to where it began', () => {
  const idle = { peakInFlight: 1 };
  expect(after(calm, 20, sample({ ...idle, ms: 1_000 })).limit).toBe(calm.limit);
  const low = after(calm, 100, sample({ loopLagMs: 500 }));
  const recovered = after(low, 200, sample(idle)).limit;
  expect(recovered).toBeGreaterThanOrEqual(settings.initial);
  expect(recovered).toBeLessThan(settings.initial * 1.5);
});

test('under a lasting load it recovers within a minute of windows once the congestion is over', () => {
  const low = after(calm, 100, sample({ loopLagMs: 500 }));
  expect(after(low, 120, sample()).limit).toBeGreaterThan(settings.initial);
});

test('after a spell of slowness what is usual comes back faster than it went', () => {
  const slow = after(calm, 400, sample({ ms: 1_000, peakInFlight: 1 }));
  expect(slow.usual.read?.ms).toBeGreaterThan(100);
  expect(after(slow, 120, sample({ peakInFlight: 1 })).usual.read?.ms).toBeLessThan(30);
});

test('whatever the windows show, the limit is a number within its bounds', () => {
  const window = fc.record({
    latencies: fc.dictionary(
      fc.constantFrom('a', 'b', 'c'),
      fc.record({ count: fc.nat(1_000), totalMs: fc.double({ min: 0, max: 1e9, noNaN: true }) }),
    ),
    peakInFlight: fc.nat(5_000),
    loopLagMs: fc.double({ min: 0, max: 1e5, noNaN: true }),
    poolWaitMs: fc.double({ min: 0, max: 1e5, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(window, { maxLength: 60 }), (windows) => {
      let state = initialLimit(settings);
      for (const each of windows) {
        const before = state.limit;
        state = nextLimit(state, each, settings);
        expect(state.limit).toBeGreaterThanOrEqual(settings.min);
        expect(state.limit).toBeLessThanOrEqual(settings.max);
        const congested =
          each.loopLagMs > settings.loopLagMs || each.poolWaitMs > settings.poolWaitMs;
        if (congested) expect(state.limit).toBeLessThanOrEqual(before);
      }
    }),
    { numRuns: 300 },
  );
});
