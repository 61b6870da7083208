import { z } from 'zod';
import type { FieldError } from '../errors.js';
import { WHOLE_BP } from '../units.js';

/**
 * How rows are divided. `provided`: the training snapshot trains, the evaluation snapshot is held out. `holdout`: by
 * the hash of salt and row, the first share trains, the rest is held out. `kfold`: by the same hash, each share is a
 * fold. `time`: by event time, the first share trains, later rows are held out.
 */
export const splitPlanSchema = z.strictObject({
  strategy: z.enum(['provided', 'holdout', 'kfold', 'time']),
  /** Shares in basis points that sum to 10000; not with `provided`. */
  fractionsBp: z.array(z.int().min(1).max(WHOLE_BP)).max(20).default([]),
  salt: z.string().max(200).default(''),
});
export type SplitPlan = z.infer<typeof splitPlanSchema>;

/** What a split needs to know of the run and its snapshot. */
export interface SplitGround {
  hasEvaluationSnapshot: boolean;
  hasEventTime: boolean;
}

const refusal = (field: string, code: string, detail: string): FieldError => ({
  pointer: `/${field}`,
  code,
  detail,
});

/** What is wrong with a split (`SPLIT_INVALID`); empty where it fits. */
export function checkSplit(plan: SplitPlan, ground: SplitGround): FieldError[] {
  const { strategy, fractionsBp } = plan;
  if (strategy === 'provided') {
    const errors: FieldError[] = [];
    if (fractionsBp.length > 0)
      errors.push(refusal('split/fractionsBp', 'NOT_ALLOWED', 'a provided split has no fractions'));
    if (!ground.hasEvaluationSnapshot)
      errors.push(
        refusal('evaluationSnapshotId', 'REQUIRED', 'a provided split holds out this snapshot'),
      );
    return errors;
  }
  const sum = fractionsBp.reduce((total, share) => total + share, 0);
  const errors: FieldError[] = [];
  if (fractionsBp.length < 2)
    errors.push(refusal('split/fractionsBp', 'TOO_FEW', 'give at least two shares'));
  else if (sum !== WHOLE_BP)
    errors.push(refusal('split/fractionsBp', 'SUM', `shares sum to ${sum}, not ${WHOLE_BP}`));
  if (strategy === 'time' && !ground.hasEventTime)
    errors.push(
      refusal('split/strategy', 'NO_EVENT_TIME', 'the contract names no event time field'),
    );
  return errors;
}

/** Bucket 0 … 9999 of a hash read as one big-endian number, modulo 10000. */
export function bucketOfHash(hash: Uint8Array): number {
  let rest = 0;
  for (const byte of hash) rest = (rest * 256 + byte) % WHOLE_BP;
  return rest;
}

/** Index of the share that a bucket falls into. The shares sum to 10000. */
export function partOfBucket(fractionsBp: readonly number[], bucket: number): number {
  let upper = 0;
  for (const [part, share] of fractionsBp.entries()) {
    upper += share;
    if (bucket < upper) return part;
  }
  return fractionsBp.length - 1;
}

/**
 * Index of the share of each row, by event time: row counts follow the shares, rows of equal time go by `tie` (the
 * row digest), so the result does not depend on the order of the rows.
 */
export function partsByTime(
  fractionsBp: readonly number[],
  rows: readonly { timeMs: number; tie: string }[],
): Int32Array {
  const order = rows.map((_, index) => index);
  order.sort((a, b) => {
    const left = rows[a];
    const right = rows[b];
    if (left === undefined || right === undefined) return 0;
    if (left.timeMs !== right.timeMs) return left.timeMs - right.timeMs;
    return left.tie < right.tie ? -1 : left.tie > right.tie ? 1 : 0;
  });
  const parts = new Int32Array(rows.length);
  for (const [rank, index] of order.entries())
    parts[index] = partOfBucket(fractionsBp, Math.floor((rank * WHOLE_BP) / rows.length));
  return parts;
}

/**
 * True for the rows that do not train: every share but the first; of `kfold` the fold given (0 by default) is held
 * out and all others train.
 */
export const isHeldOut = (
  strategy: SplitPlan['strategy'],
  part: number,
  heldOutFold = 0,
): boolean => (strategy === 'kfold' ? part === heldOutFold : part > 0);
