import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { splitBucket } from '../../src/domain/training/split-bucket.js';
import {
  checkSplit,
  isHeldOut,
  partOfBucket,
  partsByTime,
  splitPlanSchema,
} from '../../src/domain/training/split-plan.js';

const ground = { hasEvaluationSnapshot: true, hasEventTime: true };
const plan = (strategy: 'provided' | 'holdout' | 'kfold' | 'time', fractionsBp: number[] = []) =>
  splitPlanSchema.parse({ strategy, fractionsBp });

describe('split', () => {
  it('is sha256(salt ‖ row digest) mod 10000 as a big-endian number', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (salt, row) => {
        const hex = createHash('sha256')
          .update(salt + row)
          .digest('hex');
        expect(splitBucket(salt, row)).toBe(Number(BigInt(`0x${hex}`) % 10_000n));
      }),
    );
  });

  it('puts a share of rows near its fraction into each part, whatever the other rows are', () => {
    const counts = [0, 0, 0];
    for (let i = 0; i < 20_000; i++) {
      const part = partOfBucket([7_000, 2_000, 1_000], splitBucket('s', `row-${i}`));
      counts[part] = (counts[part] ?? 0) + 1;
    }
    expect(counts.map((count) => Math.round(count / 1_000))).toEqual([14, 4, 2]);
  });

  it('changes the assignment with the salt', () => {
    const parts = (salt: string) =>
      Array.from({ length: 200 }, (_, i) =>
        partOfBucket([5_000, 5_000], splitBucket(salt, `${i}`)),
      );
    expect(parts('a')).not.toEqual(parts('b'));
  });

  it('by time trains on the past only and does not depend on the order of the rows', () => {
    const rows = Array.from({ length: 100 }, (_, i) => ({ timeMs: (i * 37) % 50, tie: `t${i}` }));
    const byTie = (order: typeof rows) => {
      const parts = partsByTime([8_000, 2_000], order);
      return new Map(order.map(({ tie }, at) => [tie, parts[at]]));
    };
    const parts = byTie(rows);
    expect(byTie([...rows].reverse())).toEqual(parts);
    const latestTrained = Math.max(
      ...rows.filter(({ tie }) => parts.get(tie) === 0).map(({ timeMs }) => timeMs),
    );
    const earliestHeld = Math.min(
      ...rows.filter(({ tie }) => parts.get(tie) === 1).map(({ timeMs }) => timeMs),
    );
    expect(latestTrained).toBeLessThanOrEqual(earliestHeld);
    expect([...parts.values()].filter((part) => part === 1)).toHaveLength(20);
  });

  it('holds out all parts but the first, and of k folds exactly one', () => {
    expect([0, 1, 2].map((part) => isHeldOut('holdout', part))).toEqual([false, true, true]);
    expect([0, 1, 2].map((part) => isHeldOut('kfold', part, 1))).toEqual([false, true, false]);
  });

  it('names what does not fit', () => {
    expect(checkSplit(plan('holdout', [8_000, 2_000]), ground)).toEqual([]);
    expect(checkSplit(plan('holdout', [8_000, 1_000]), ground)).toMatchObject([{ code: 'SUM' }]);
    expect(checkSplit(plan('kfold', [10_000]), ground)).toMatchObject([{ code: 'TOO_FEW' }]);
    expect(checkSplit(plan('provided'), { ...ground, hasEvaluationSnapshot: false })).toMatchObject(
      [{ pointer: '/evaluationSnapshotId' }],
    );
    expect(
      checkSplit(plan('time', [5_000, 5_000]), { ...ground, hasEventTime: false }),
    ).toMatchObject([{ code: 'NO_EVENT_TIME' }]);
  });
});
