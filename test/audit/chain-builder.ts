import {
  genesisHash,
  linkHash,
  SEAL_ACTION,
  sealOf,
  type AuditLeaf,
  type ChainHead,
  type ChainRow,
  type Checkpoint,
} from '../../src/domain/audit/chain.js';
import { canonicalJson, sha256 } from '../../src/domain/digest.js';

/** A chain as it is stored, built without the database. */
export interface BuiltChain {
  tenant: string;
  rows: ChainRow[];
  leaves: Map<number, AuditLeaf[]>;
  head: ChainHead | undefined;
  checkpoints: Checkpoint[];
}

/** A link of an entry after another link, or the first. */
export function linkAfter(tenant: string, before: ChainRow | undefined, entry: string): ChainRow {
  const seq = (before?.seq ?? 0) + 1;
  const prevHash = before?.hash ?? genesisHash(tenant);
  const facts = { seq, atMicros: BigInt(seq) * 1_000n, entryHash: sha256(entry) };
  return { ...facts, entry, prevHash, hash: linkHash(prevHash, facts) };
}

/** The links of these entries, one after the other. */
export function linkAll(tenant: string, entries: string[]): ChainRow[] {
  const rows: ChainRow[] = [];
  for (const entry of entries) rows.push(linkAfter(tenant, rows.at(-1), entry));
  return rows;
}

export const headOf = (rows: ChainRow[]): ChainHead | undefined => {
  const last = rows.at(-1);
  return last === undefined ? undefined : { seq: last.seq, hash: last.hash };
};

export const checkpointAt = (tenant: string, row: ChainRow): Checkpoint => ({
  origin: 'test',
  tenant,
  size: row.seq,
  headHash: Buffer.from(row.hash).toString('hex'),
  at: new Date(row.seq).toISOString(),
});

const plainEntry = (seq: number): string =>
  canonicalJson({ action: 'test.done', resource: { type: 'thing', id: `${seq}` }, after: { seq } });

function sealEntry(leaves: AuditLeaf[]): string {
  const id = leaves[0]?.leafId ?? '';
  return canonicalJson({
    action: SEAL_ACTION,
    resource: { type: 'audit_leaf', id },
    after: sealOf(leaves),
  });
}

/**
 * A whole and honest chain.
 * @param shape.size number of entries
 * @param shape.sealEvery every n-th entry seals three leaves; 0 for none
 * @param shape.checkpointEvery a checkpoint at every n-th entry; 0 for none
 */
export function buildChain(shape: {
  size: number;
  sealEvery: number;
  checkpointEvery: number;
}): BuiltChain {
  const tenant = 'default';
  const leaves = new Map<number, AuditLeaf[]>();
  const entries = Array.from({ length: shape.size }, (_, i) => {
    const seq = i + 1;
    if (shape.sealEvery === 0 || seq % shape.sealEvery !== 0) return plainEntry(seq);
    const sealed = [0, 1, 2].map((n) => ({
      leafId: `lef_${seq}_${n}`,
      kind: 'decision',
      digest: sha256(`${seq}/${n}`),
      createdMicros: BigInt(seq),
    }));
    leaves.set(seq, sealed);
    return sealEntry(sealed);
  });
  const rows = linkAll(tenant, entries);
  const checkpoints = rows
    .filter(({ seq }) => shape.checkpointEvery > 0 && seq % shape.checkpointEvery === 0)
    .map((row) => checkpointAt(tenant, row));
  return { tenant, rows, leaves, head: headOf(rows), checkpoints };
}
