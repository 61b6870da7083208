import { WHOLE_BP } from '../units.js';

/**
 * Whether a scan would delete so much that a person has to look: more than `guardBp` of what the source has, and more
 * than `minDeletes` documents.
 * @param scan.known documents of the source that are not deleted
 */
export const exceedsDeleteGuard = (scan: {
  deletes: number;
  known: number;
  guardBp: number;
  minDeletes: number;
}): boolean =>
  scan.deletes > scan.minDeletes && scan.deletes * WHOLE_BP > scan.known * scan.guardBp;
