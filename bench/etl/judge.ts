import type { HeldChunk } from './engine.js';

/** How a store differs from what its side should hold. */
export interface Faults {
  /** Rows of no chunk. */
  orphans: number;
  /** Rows of a chunk beyond the first. */
  duplicates: number;
  /** Chunks without a row that the current embedder made. */
  missing: number;
  /** Rows with an access that the source no longer has. */
  stale: number;
}

/** A chunk by what it says; equal chunks of one document are told apart by their number. */
function numbered(chunks: readonly HeldChunk[]): Map<string, HeldChunk[]> {
  const groups = new Map<string, HeldChunk[]>();
  for (const chunk of chunks) {
    const name = `${chunk.document}\0${chunk.text}`;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [chunk]);
    else group.push(chunk);
  }
  return groups;
}

/** Compares rows with chunks. Vectors of another embedder count as missing: they answer no query of this one. */
export function judge(held: readonly HeldChunk[], wanted: readonly HeldChunk[]): Faults {
  const faults: Faults = { orphans: 0, duplicates: 0, missing: 0, stale: 0 };
  const rows = numbered(held);
  const chunks = numbered(wanted);
  for (const [name, own] of rows) {
    const due = chunks.get(name)?.length ?? 0;
    if (due === 0) faults.orphans += own.length;
    else faults.duplicates += Math.max(0, own.length - due);
  }
  for (const [name, due] of chunks) {
    const [first] = due;
    const own = rows.get(name) ?? [];
    const usable = own.filter(({ embedder }) => embedder === first?.embedder);
    faults.missing += Math.max(0, due.length - usable.length);
    faults.stale += own.filter(({ acl }) => acl !== first?.acl).length;
  }
  return faults;
}

/** Chunks of `after` that `before` does not have: what embedding again cannot be avoided for. */
export function changedChunks(before: readonly HeldChunk[], after: readonly HeldChunk[]): number {
  const known = numbered(before);
  let changed = 0;
  for (const [name, own] of numbered(after)) {
    const usable = known.get(name)?.filter(({ embedder }) => embedder === own[0]?.embedder) ?? [];
    changed += Math.max(0, own.length - usable.length);
  }
  return changed;
}
