import type { Caller } from '../events/change.js';
import type { ScanState } from './contract.js';
import type { GenerationFacts, SourceFacts } from './ledger.js';
import type { Slice } from './vector-sink.js';

/** One document as a listing shows it. */
export interface ListedDocument {
  naturalKey: string;
  /** What changes with the content: mtime and size, etag. */
  token: string;
  bytes?: number | undefined;
}

/** One page of a listing, in the source's own stable order. */
export interface SourcePage {
  entries: ListedDocument[];
  /** Where the next page begins; undefined: this was the last one. */
  cursor: string | undefined;
  /** False where something could not be read: the whole scan is then no evidence for a deletion. */
  complete: boolean;
}

/** A document of a pull source with its bytes, as it is now. */
interface SourceDocument {
  /** File name or path; its extension helps to find the type. */
  name: string;
  token: string;
  bytes: Uint8Array;
  mediaType?: string | undefined;
}

/**
 * Port of a pull source. Failures: `SOURCE_UNAVAILABLE` (retryable), `SOURCE_CONFIG_INVALID`, and `DOCUMENT_REFUSED` for
 * one document (too large, a link).
 */
export interface PullSource {
  list: (
    source: SourceFacts,
    page: {
      cursor?: string | undefined;
      maxEntries: number;
      maxBytes: number;
      signal: AbortSignal;
    },
  ) => Promise<SourcePage>;
  /** Undefined where the document is gone; only a complete scan or an event proves a deletion. */
  read: (
    source: SourceFacts,
    naturalKey: string,
    signal: AbortSignal,
  ) => Promise<SourceDocument | undefined>;
}

/** How a scan stands. */
export interface ScanStanding {
  state: ScanState;
  upserts: number;
  deletes: number;
  /** Milliseconds left for a decision, by the database's clock; 0 where nothing waits. */
  remainingMs: number;
}

/** Port of the rows of scans. Every function may be repeated. Failures: `STORE_UNAVAILABLE`. */
export interface ScanLedger {
  /** Keeps what a page listed and where the next one begins; a page that is known is kept once. */
  recordPage: (
    tenant: string,
    scanId: string,
    page: { entries: readonly ListedDocument[]; cursor: string | undefined; complete: boolean },
  ) => Promise<void>;
  /**
   * Compares the listing with the documents of the source: what is new, has another token or another `pipeline_fp`, and a
   * fixed 1 % of the rest (etl.md §3 rung 1), becomes `upsert` changes of priority 4. What is absent is hidden and
   * becomes `delete` changes of priority 2, where every page was complete and the guard (`exceedsDeleteGuard`) allows it
   * or a person has decided APPLY; else the scan is WAITING until `decisionMs` from now, and then DISCARDED. A document
   * that an event spoke of meanwhile is left to that event. Entries are dropped at the end. A scan that has ended answers
   * how it ended.
   */
  applyScan: (
    caller: Caller,
    scanId: string,
    guard: { minDeletes: number; decisionMs: number },
  ) => Promise<ScanStanding>;
  /** RUNNING → FAILED with a code; a scan that has ended stays as it is. */
  failScan: (caller: Caller, scanId: string, code: string) => Promise<void>;
}

/** A row of a store as `scanIds` yields it. */
interface StoredRowId {
  rowId: string;
  docId: string;
  accessHash: string;
}

/** A row that a manifest names and the store does not hold. */
export interface MissingRow {
  rowId: string;
  docId: string;
  textHash: string;
  embedText: string;
  page: number;
  /** Of the document. */
  metadata: Record<string, unknown>;
  acl: string[];
  aclHash: string;
}

/** Port of the rows of reconciles. Every function may be repeated. Failures: `STORE_UNAVAILABLE`. */
export interface ReconcileLedger {
  /** A generation that is written, by its id. @throws NOT_FOUND */
  findGeneration: (tenant: string, generationId: string) => Promise<GenerationFacts>;
  /**
   * Anti-join of one slice, both ways. Rows of open intents are in doubt and in no answer: orphans are rows that neither
   * a manifest nor an open intent names, missing ones are named by a manifest at the live revision. Documents with missing
   * rows are claimed for 15 minutes, so that nobody takes a row away that is about to be written (W1); those that somebody
   * holds are left to that writer.
   */
  compareRows: (
    tenant: string,
    generationId: string,
    slice: {
      reconcileId: string;
      index: number;
      of: Slice['of'];
      rows: AsyncIterable<StoredRowId>;
    },
  ) => Promise<{
    rows: number;
    orphanRowIds: string[];
    missing: MissingRow[];
    stale: { rowId: string; acl: string[]; aclHash: string }[];
  }>;
  /** Adds what a slice found, once, and ends its claims. */
  recordSlice: (
    caller: Caller,
    reconcileId: string,
    found: { index: number; orphans: number; missing: number; stale: number },
  ) => Promise<void>;
  settleReconcile: (
    caller: Caller,
    reconcileId: string,
    end: { state: 'DONE' | 'FAILED'; code?: string | undefined },
  ) => Promise<void>;
}
