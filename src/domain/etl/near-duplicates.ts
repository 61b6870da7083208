import type { Flag } from './flags.js';
import { simhashDistance } from './flags.js';
import { simhashBands } from './simhash.js';

/** Most bits in which the simhashes of two near duplicates differ. */
const MAX_DISTANCE = 3;

/** A document that says nearly the same. */
export interface NearDuplicate {
  docId: string;
  /** Bits in which the two simhashes differ, 0 to 3. */
  distance: number;
}

/** Simhashes of documents that are not committed yet, found by their bands. */
export interface NearIndex {
  add: (document: { docId: string; simhash: bigint }) => void;
  /** The nearest other document. */
  find: (document: { docId: string; simhash: bigint }) => NearDuplicate | undefined;
}

/** An empty index. */
export function createNearIndex(): NearIndex {
  const byBand = new Map<number, { docId: string; simhash: bigint }[]>();
  return {
    add: (document) => {
      for (const band of simhashBands(document.simhash)) {
        const known = byBand.get(band);
        if (known === undefined) byBand.set(band, [document]);
        else known.push(document);
      }
    },
    find: ({ docId, simhash }) => {
      let nearest: NearDuplicate | undefined;
      for (const band of simhashBands(simhash))
        for (const other of byBand.get(band) ?? []) {
          if (other.docId === docId) continue;
          const distance = simhashDistance(other.simhash, simhash);
          if (distance <= MAX_DISTANCE && distance < (nearest?.distance ?? Infinity))
            nearest = { docId: other.docId, distance };
        }
      return nearest;
    },
  };
}

/** The flag of a document that says nearly the same as another one. */
export const nearDuplicateFlag = ({ docId, distance }: NearDuplicate): Flag => ({
  flag: 'near_duplicate',
  evidence: { document: docId, distance },
});
