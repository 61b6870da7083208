import { sha256 } from '../digest.js';
import { merkleRoot } from './merkle.js';

/** One stored link of a chain. */
export interface ChainRow {
  seq: number;
  /** Microseconds since the epoch, by the database's clock. */
  atMicros: bigint;
  /** The canonical JSON, as stored. */
  entry: string;
  entryHash: Uint8Array;
  prevHash: Uint8Array;
  hash: Uint8Array;
}

/** Where a chain ends: sequence and hash of its last entry. */
export interface ChainHead {
  seq: number;
  hash: Uint8Array;
}

/** A volume event as it is sealed. */
export interface AuditLeaf {
  leafId: string;
  kind: string;
  digest: Uint8Array;
  /** Microseconds since the epoch. */
  createdMicros: bigint;
}

/** What was witnessed of a chain outside the database. */
export interface Checkpoint {
  /** Which installation wrote it. */
  origin: string;
  tenant: string;
  /** Number of entries, which is the sequence of the last one. */
  size: number;
  /** Lower-case hex of the last entry's hash. */
  headHash: string;
  /** UTC ISO 8601. */
  at: string;
}

/** The action of the entry that seals leaves into the chain. */
export const SEAL_ACTION = 'audit.sealed';

/** What a sealing entry states: the Merkle root over its leaves, and how many they are. */
export interface SealFacts {
  /** `sha256:<hex>`, RFC 6962 over the leaves in order of their ids. */
  root: string;
  count: number;
}

/** The hash before the first entry of a tenant's chain. */
export const genesisHash = (tenant: string): Buffer =>
  sha256(Buffer.from(`anneal.audit.genesis.v1\0${tenant}`));

/** SHA-256(prev ‖ seq as int8 ‖ at in µs as int8 ‖ SHA-256(entry)), integers big-endian. */
export function linkHash(
  prevHash: Uint8Array,
  link: { seq: number; atMicros: bigint; entryHash: Uint8Array },
): Buffer {
  const numbers = Buffer.alloc(16);
  numbers.writeBigInt64BE(BigInt(link.seq), 0);
  numbers.writeBigInt64BE(link.atMicros, 8);
  return sha256(Buffer.concat([prevHash, numbers, link.entryHash]));
}

/** Binds every column of a leaf. Ids and kinds hold no zero byte, so the parts cannot run into each other. */
const leafBytes = (leaf: AuditLeaf): Buffer =>
  Buffer.concat([
    Buffer.from(`${leaf.leafId}\0${leaf.kind}\0${leaf.createdMicros}\0`),
    leaf.digest,
  ]);

const byId = (a: AuditLeaf, b: AuditLeaf): number =>
  a.leafId < b.leafId ? -1 : a.leafId > b.leafId ? 1 : 0;

/** Root and number of a set of leaves, whatever order they come in. */
export const sealOf = (leaves: readonly AuditLeaf[]): SealFacts => ({
  root: `sha256:${merkleRoot([...leaves].sort(byId).map(leafBytes)).toString('hex')}`,
  count: leaves.length,
});
