import fc from 'fast-check';
import { hmac } from '../../src/domain/digest.js';
import { assign, bucketOf } from '../../src/domain/release/assignment.js';

const bucket = fc.integer({ min: 0, max: 9_999 });

describe('bucket', () => {
  it('of subject p1_subject-1 under a salt of 32 zero bytes is 4256', () => {
    const digest = hmac(new Uint8Array(32), 'p1_subject-1');
    expect(bucketOf(digest)).toBe(4_256);
    expect(bucketOf(digest.subarray(0, 8))).toBe(4_256);
  });

  it('reads eight bytes in big-endian order, beyond the exact range of a double', () => {
    expect(bucketOf(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 42))).toBe(42);
    expect(bucketOf(Uint8Array.of(0, 0, 0, 0, 0, 0, 39, 16))).toBe(0);
    expect(bucketOf(new Uint8Array(8).fill(255))).toBe(Number((2n ** 64n - 1n) % 10_000n));
    expect(() => bucketOf(new Uint8Array(7))).toThrow(RangeError);
  });

  it('spreads subjects evenly: a 5 % arm gets 5 % ± 0.3 points of 100,000 subjects', () => {
    const salt = new Uint8Array(32);
    let inside = 0;
    for (let i = 0; i < 100_000; i++) if (bucketOf(hmac(salt, `p1_subject-${i}`)) < 500) inside++;
    expect(Math.abs(inside / 100_000 - 0.05)).toBeLessThan(0.003);
  });
});

describe('assignment', () => {
  it('gives an arm exactly its weight in buckets, and the rest to the active version', () => {
    const arms = [
      { version: 2, weightBp: 500 },
      { version: 3, weightBp: 1_500 },
    ];
    const counts = new Map<number, number>();
    for (let at = 0; at < 10_000; at++) {
      const { version } = assign(at, arms, 1);
      counts.set(version, (counts.get(version) ?? 0) + 1);
    }
    expect([counts.get(1), counts.get(2), counts.get(3)]).toEqual([8_000, 500, 1_500]);
    expect(assign(0, [], 1)).toEqual({ version: 1, bucket: 0, arm: -1 });
    expect(assign(9_999, [{ version: 2, weightBp: 10_000 }], 1).version).toBe(2);
  });

  it('is monotone: a subject in the canary stays in it while its weight grows', () => {
    fc.assert(
      fc.property(
        bucket,
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: 0, max: 10_000 }),
        (at, one, two) => {
          const [small, large] = [Math.min(one, two), Math.max(one, two)];
          const before = assign(at, [{ version: 2, weightBp: small }], 1).version;
          if (before === 2)
            expect(assign(at, [{ version: 2, weightBp: large }], 1).version).toBe(2);
        },
      ),
    );
  });

  it('moves subjects only from the active version when the last arm grows', () => {
    fc.assert(
      fc.property(
        bucket,
        fc.integer({ min: 0, max: 4_000 }),
        fc.integer({ min: 0, max: 6_000 }),
        (at, weightBp, grown) => {
          const first = { version: 2, weightBp };
          const before = assign(at, [first, { version: 3, weightBp: 0 }], 1).version;
          const after = assign(at, [first, { version: 3, weightBp: grown }], 1).version;
          if (before !== after) expect([before, after]).toEqual([1, 3]);
        },
      ),
    );
  });
});
