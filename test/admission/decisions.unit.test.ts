import fc from 'fast-check';
import { addressGroup } from '../../src/domain/admission/address-group.js';
import { missesDeadline, waitOfStart } from '../../src/domain/admission/backlog-gate.js';
import {
  classOfRequest,
  defaultShares,
  isShed,
} from '../../src/domain/admission/class-of-request.js';
import { exceedsShare } from '../../src/domain/admission/exceeds-share.js';
import {
  blockMs,
  controlLimit,
  grantedOf,
  insuredLimit,
  retryAfterSeconds,
  sliceOf,
} from '../../src/domain/admission/rate-limit.js';

describe('the class of a request', () => {
  const plain = { upload: false, waits: false };
  test.each([
    ['a read', { ...plain, method: 'get' }, 'interactive'],
    ['an upload', { ...plain, method: 'put', upload: true }, 'batch'],
    ['any other change', { ...plain, method: 'post' }, 'control'],
    ['what its route declares', { ...plain, method: 'post', declared: 'batch' as const }, 'batch'],
    ['a durable one', { ...plain, method: 'post', declared: 'durable' as const }, 'durable'],
    [
      'a durable one whose caller waits',
      { method: 'post', upload: false, declared: 'durable' as const, waits: true },
      'interactive',
    ],
    [
      'a batch one whose caller waits',
      { method: 'post', upload: false, declared: 'batch' as const, waits: true },
      'batch',
    ],
  ])('of %s', (_, request, expected) => {
    expect(classOfRequest(request)).toBe(expected);
  });

  test('says in which order is shed: batch, then durable, then interactive', () => {
    const shedAt = (inFlight: number) =>
      (['batch', 'durable', 'interactive'] as const).filter((each) =>
        isShed({ class: each, inFlight, limit: 100, shares: defaultShares }),
      );
    expect(shedAt(74)).toEqual([]);
    expect(shedAt(75)).toEqual(['batch']);
    expect(shedAt(90)).toEqual(['batch', 'durable']);
    expect(shedAt(99)).toEqual(['batch', 'durable']);
    expect(shedAt(100)).toEqual(['batch', 'durable', 'interactive']);
  });

  test('never shuts a class out where nothing is at work', () => {
    for (const each of ['batch', 'durable', 'interactive'] as const)
      expect(isShed({ class: each, inFlight: 0, limit: 1, shares: defaultShares })).toBe(false);
  });
});

describe('a fair share of places', () => {
  test('is half of all for a tenant alone, and a quarter for one key of it', () => {
    const mostOf = (size: number, ofKey: (count: number) => number): number => {
      let count = 0;
      while (!exceedsShare({ free: size - count, ofTenant: count, ofKey: ofKey(count) }))
        count += 1;
      return count;
    };
    expect(mostOf(64, () => 0)).toBe(32);
    expect(mostOf(64, (count) => count)).toBe(16);
  });

  test('is one place at least for whoever has none, while there is one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), (free) => {
        expect(exceedsShare({ free, ofTenant: 0, ofKey: 0 })).toBe(false);
      }),
    );
    expect(exceedsShare({ free: 0, ofTenant: 0, ofKey: 0 })).toBe(true);
  });
});

describe('a lease', () => {
  test('is at most 5 % of its limit, and one at least', () => {
    fc.assert(
      fc.property(fc.integer({ min: 20, max: 1_000_000 }), (limit) => {
        expect(sliceOf(limit) * 20).toBeLessThanOrEqual(limit);
        expect(sliceOf(limit)).toBeGreaterThanOrEqual(1);
      }),
    );
    expect(sliceOf(3)).toBe(1);
  });

  test('leases of a window give the limit to the last request, whatever its size, and never more', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), (limit) => {
        const asked = sliceOf(limit);
        let given = 0;
        for (let round = 1; round <= 2 + limit / asked; round += 1)
          given += grantedOf({ limit, asked, counted: round * asked });
        expect(given).toBe(limit);
      }),
    );
  });

  test('of parts of a limit gives no more than the limit together', () => {
    expect(insuredLimit(100, 3) * 3).toBeLessThanOrEqual(100);
    expect(insuredLimit(1, 5)).toBe(1);
  });
});

test('the control plane has a tenth of a limit for itself, and sixty a minute at least', () => {
  expect(controlLimit(30_000)).toBe(3_000);
  expect(controlLimit(20)).toBe(60);
});

test('whoever fails again and again waits twice as long each time, a quarter of an hour at most', () => {
  expect([1, 2, 3, 4].map((strikes) => blockMs(60_000, strikes))).toEqual([
    60_000, 120_000, 240_000, 480_000,
  ]);
  expect(blockMs(60_000, 50)).toBe(900_000);
});

test('Retry-After is never too early and spreads those who were refused together', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 900_000 }),
      fc.double({ min: 0, max: 0.999_999, noNaN: true }),
      (waitMs, random) => {
        const seconds = retryAfterSeconds(waitMs, random);
        expect(Number.isInteger(seconds)).toBe(true);
        expect(seconds).toBeGreaterThanOrEqual(Math.max(1, waitMs / 1_000));
        expect(seconds).toBeLessThanOrEqual((waitMs / 1_000) * 1.2 + 2);
      },
    ),
  );
  expect(new Set([0, 0.5, 0.99].map((random) => retryAfterSeconds(10_000, random))).size).toBe(3);
});

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:10.0.0.7', '10.0.0.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002::9', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
])('%s counts as %s', (address, expected) => {
  expect(addressGroup(address)).toBe(expected);
});

describe('a durable start', () => {
  const backlog = {
    byPriority: { 1: { tasks: 10, ageMs: 100 }, 4: { tasks: 10_000, ageMs: 60_000 } },
    dispatchPerSecond: 20,
  };

  test('waits for what stands before it at the pace of late, not for what is less urgent', () => {
    expect(waitOfStart(backlog, 1)).toBe(500);
    expect(waitOfStart(backlog, 3)).toBe(500);
    expect(waitOfStart(backlog, 4)).toBe(500_500);
  });

  test('waits at least as long as the oldest of its kind does already', () => {
    const stuck = { byPriority: { 3: { tasks: 5, ageMs: 40_000 } }, dispatchPerSecond: 0 };
    expect(waitOfStart(stuck, 3)).toBe(40_000);
  });

  test('is late only where it would begin when its deadline is over', () => {
    expect(missesDeadline(backlog, { priority: 3, deadlineMs: 501 })).toBe(false);
    expect(missesDeadline(backlog, { priority: 3, deadlineMs: 500 })).toBe(true);
    const empty = { byPriority: {}, dispatchPerSecond: Infinity };
    expect(missesDeadline(empty, { priority: 3, deadlineMs: 100 })).toBe(false);
  });
});
