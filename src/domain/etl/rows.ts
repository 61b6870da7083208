/** How a table becomes a document per row. */
export interface RowMode {
  /** Column whose value is the natural key of the row. */
  keyColumn: string;
  /** Column whose value is the title; default the key. */
  titleColumn?: string | undefined;
}

/** A row as a document of its own (plain text, `column: value` per line). */
export interface RowDocument {
  key: string;
  title: string;
  text: string;
  /** Line on which the row ends, 1-based. */
  line: number;
}

/** Rows that became documents, and those that could not, by line. */
export interface SplitRows {
  rows: RowDocument[];
  refused: { line: number; detail: 'ragged' | 'no_key' | 'duplicate_key' }[];
}

/** Port: splits a table off the main thread. @throws DOCUMENT_REFUSED with `reason` and `evidence` in its extensions */
export type SplitTable = (
  bytes: Uint8Array,
  mode: RowMode,
  signal: AbortSignal,
) => Promise<SplitRows>;
