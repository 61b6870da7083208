import { sha256 } from '../digest.js';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/**
 * RFC 6962 Merkle tree hash: SHA-256(0x00 ‖ leaf) for a leaf, SHA-256(0x01 ‖ left ‖ right) for a node, the left half
 * being the largest power of two below the number of leaves; SHA-256 of nothing for an empty tree.
 * @returns 32 bytes
 */
export function merkleRoot(leaves: readonly Uint8Array[]): Buffer {
  if (leaves.length === 0) return sha256('');
  // Pairing neighbours level by level, an odd last one moving up unchanged, gives the same tree as the recursive form.
  let level = leaves.map((leaf) => sha256(Buffer.concat([LEAF, leaf])));
  while (level.length > 1) {
    const next: Buffer[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const [left, right] = level.slice(i, i + 2);
      if (left === undefined) break;
      next.push(right === undefined ? left : sha256(Buffer.concat([NODE, left, right])));
    }
    level = next;
  }
  return level[0] ?? sha256('');
}
