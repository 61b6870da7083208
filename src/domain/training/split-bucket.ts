import { sha256 } from '../digest.js';
import { bucketOfHash } from './split-plan.js';

/**
 * Bucket 0 … 9999 of a row: sha256(salt ‖ rowDigest) mod 10000. It depends on the row alone, so that erasing one row
 * moves no other.
 */
export const splitBucket = (salt: string, rowDigest: string): number =>
  bucketOfHash(sha256(salt + rowDigest));
