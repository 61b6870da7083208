import { WHOLE_BP } from '../units.js';

/** One arm of a routing row. */
export interface Arm {
  /** Version that the arm serves. */
  version: number;
  /** Share of traffic in basis points, 0 … 10000. */
  weightBp: number;
}

/** Where one request goes, with what is needed to recompute it. */
export interface Assignment {
  version: number;
  /** 0 … 9999. */
  bucket: number;
  /** Index into the arms; −1 is the active version, which takes what the arms leave. */
  arm: number;
}

/**
 * Bucket of a subject: the first 8 bytes of the digest as a big-endian integer, modulo 10000. The bias of the modulus
 * is below 10⁻¹⁵.
 * @param digest HMAC-SHA-256(salt, subject token) or its first 8 bytes; fewer than 8 is a RangeError
 */
export function bucketOf(digest: Uint8Array): number {
  if (digest.length < 8) throw new RangeError('a bucket needs 8 bytes of digest');
  let rest = 0;
  for (const byte of digest.subarray(0, 8)) rest = (rest * 256 + byte) % WHOLE_BP;
  return rest;
}

/**
 * The arm of a bucket by cumulative weights, in the order of the arms; what is left belongs to the active version. An
 * arm's buckets start where the arms before it end, so growing the last arm only moves subjects from the active version
 * into it: assignment is sticky and monotone, and it is recomputed from the bucket and the routing row alone.
 * @param arms weights sum to at most 10000
 */
export function assign(bucket: number, arms: readonly Arm[], active: number): Assignment {
  let end = 0;
  for (const [index, arm] of arms.entries()) {
    end += arm.weightBp;
    if (bucket < end) return { version: arm.version, bucket, arm: index };
  }
  return { version: active, bucket, arm: -1 };
}
