import { digestOf, sha256 } from '../digest.js';
import type { DatasetContract } from './dataset-contract.js';

/** What a snapshot id covers besides its rows. */
export interface SnapshotTerms {
  contract: DatasetContract;
  purposes: readonly string[];
  legalBasis: string;
}

/** Digest of a contract body as stored (defaults filled in). */
export const datasetContractDigest = (contract: DatasetContract): `sha256:${string}` =>
  digestOf('anneal.dataset.contract', contract);

/**
 * Builds a snapshot id while rows stream by. `add` takes row digests in ascending order, each as often as the row
 * occurs, and folds them into a hash chain: h₀ = 32 zero bytes, hᵢ = SHA-256(hᵢ₋₁ ‖ digestᵢ). `finish` answers the
 * digest over contract, purposes (as a set), legal basis, row count and h. Throws a RangeError on descending order:
 * the id would then depend on it.
 */
export function createSnapshotHasher() {
  let chain: Uint8Array = Buffer.alloc(32);
  let last = '';
  let rows = 0;
  return {
    add(rowDigest: string): void {
      if (rowDigest < last) throw new RangeError('row digests must ascend');
      last = rowDigest;
      rows++;
      const digest = Buffer.from(rowDigest.replace(/^sha256:/, ''), 'hex');
      if (digest.length !== 32) throw new RangeError('a row digest has 32 bytes');
      chain = sha256(Buffer.concat([chain, digest]));
    },
    finish(terms: SnapshotTerms): { snapshotId: `sha256:${string}`; rows: number } {
      const snapshotId = digestOf('anneal.dataset.snapshot', {
        contract: terms.contract,
        purposes: [...new Set(terms.purposes)].sort(),
        legalBasis: terms.legalBasis,
        rows,
        chain: Buffer.from(chain).toString('hex'),
      });
      return { snapshotId, rows };
    },
  };
}

/** Snapshot id of rows in any order; holds all digests in memory. */
export function snapshotIdOf(
  terms: SnapshotTerms,
  rowDigests: readonly string[],
): `sha256:${string}` {
  const hasher = createSnapshotHasher();
  for (const digest of [...rowDigests].sort()) hasher.add(digest);
  return hasher.finish(terms).snapshotId;
}
