/** An intent that is open for a document in one generation: its rows are in doubt. */
export interface OpenRows {
  rev: number;
  /** All rows of its revision, in chunk order. */
  rowIds: readonly string[];
  addRowIds: readonly string[];
  deleteRowIds: readonly string[];
}

/** What PLAN needs to know of one document in one generation. */
export interface PlanInput {
  generationId: string;
  /** The revision to write; of no earlier intent, unless that intent is taken over. */
  rev: number;
  /** Chunks of the revision in order; none for a deletion. */
  chunkIds: readonly string[];
  /** The committed rows with the chunks they hold: two lists of one length. */
  manifest?: { rowIds: readonly string[]; chunkIds: readonly string[] } | undefined;
  /** Every open intent of the document in this generation. */
  open: readonly OpenRows[];
  rowId: (generationId: string, chunkId: string, rev: number) => string;
}

/** What is to be done to the store, and what it holds of the document afterwards. */
export interface RowPlan {
  /** One row per chunk, in chunk order: kept and added. */
  rowIds: string[];
  addRowIds: string[];
  deleteRowIds: string[];
}

/** The open intent that was recorded last; undefined where nothing is in doubt. */
export const newestIntent = <T extends { rev: number }>(open: readonly T[]): T | undefined =>
  open.reduce<T | undefined>(
    (newest, intent) => (newest === undefined || intent.rev > newest.rev ? intent : newest),
    undefined,
  );

/**
 * PLAN of the write protocol (etl.md §5) for one document in one generation.
 * - W2: where the newest open intent has this very revision it is taken over unchanged; else the adds and deletes of
 *   all open intents become deletes, and none of their rows is kept.
 * - W1: a row that an intent listed for deletion is neither kept nor written again; its chunk gets the id of this
 *   revision. That also holds for intents that are done: what they deleted is in no manifest.
 * @throws RangeError where `rev` would give a row the id of one that is in doubt
 */
export function planRows(input: PlanInput): RowPlan {
  const { generationId, rev, chunkIds, manifest, open, rowId } = input;
  const newest = newestIntent(open);
  if (newest?.rev === rev) {
    return {
      rowIds: [...newest.rowIds],
      addRowIds: [...newest.addRowIds],
      deleteRowIds: [...newest.deleteRowIds],
    };
  }
  const doubtful = new Set<string>();
  for (const intent of open) {
    for (const id of intent.addRowIds) doubtful.add(id);
    for (const id of intent.deleteRowIds) doubtful.add(id);
  }
  const standing = new Map<string, string>();
  manifest?.chunkIds.forEach((chunk, at) => {
    const row = manifest.rowIds[at];
    if (row !== undefined && !doubtful.has(row)) standing.set(chunk, row);
  });
  const addRowIds: string[] = [];
  const rowIds = chunkIds.map((chunk) => {
    const kept = standing.get(chunk);
    if (kept !== undefined) return kept;
    const added = rowId(generationId, chunk, rev);
    if (doubtful.has(added)) throw new RangeError(`revision ${rev} was planned before`);
    addRowIds.push(added);
    return added;
  });
  const present = new Set(rowIds);
  const deletes = new Set(doubtful);
  for (const row of manifest?.rowIds ?? []) if (!present.has(row)) deletes.add(row);
  return { rowIds, addRowIds, deleteRowIds: [...deletes] };
}
