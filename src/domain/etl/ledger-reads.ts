import type { ErrorCode } from '../errors.js';
import type { SectionSpan } from '../retrieval/section-span.js';

/** What a search asks the ledger about its candidates; `rowIds` and `docIds` are two lists of one length. */
interface ReadQuery {
  generationId: string;
  rowIds: readonly string[];
  docIds: readonly string[];
  /** Principal tokens of the reader. */
  principals: readonly string[];
  purpose: string;
}

/** A candidate that passed: committed, visible, allowed. Places are UTF-16 units of the revision's text. */
export interface ReadHit {
  rowId: string;
  docId: string;
  rev: number;
  chunkId: string;
  /** Place of the chunk in its revision, from 1. */
  chunkAt: number;
  start: number;
  end: number;
  /** 0 where there are no pages. */
  page: number;
  /** Hash of the embedded text of the chunk. */
  textHash: string;
  /** Since when the revision is older than its source because the newer one is quarantined. */
  staleSince: string | undefined;
}

/** A span of a revision. */
export interface Span {
  docId: string;
  rev: number;
  start: number;
  end: number;
  /** The chunk whose heading path is wanted, by its place in the revision from 1. */
  chunkAt?: number;
}

/** Spans that one reader asks for. Purpose and principals are checked like those of a search. */
export interface SpansQuery {
  spans: readonly Span[];
  principals: readonly string[];
  purpose: string;
  /** Where given, each span that names a chunk comes with its section, no longer than this many UTF-16 units. */
  sectionChars?: number | undefined;
}

/** The section around a chunk, of the same revision as its span. */
interface SectionRead extends SectionSpan {
  text: string;
}

/** A span as a reader gets it, or why not: NOT_FOUND where the reader may not see the document. */
export type SpanRead =
  | {
      text: string;
      title: string;
      headingPath: string[];
      current: boolean;
      section?: SectionRead | undefined;
    }
  | { refused: Extract<ErrorCode, 'NOT_FOUND' | 'REVISION_EXPIRED' | 'REVISION_ERASED'> };

/** What reading needs from the ledger (etl.md §5 READ, §11). Failures: `STORE_UNAVAILABLE`. */
export interface LedgerReads {
  /** Drops what is not committed, hidden, deleted or not allowed; answers in the order of the candidates. */
  readFilter: (tenant: string, query: ReadQuery) => Promise<ReadHit[]>;
  /** Whether anything was ever committed to a generation; until then its store may have no place for it. */
  hasRows: (tenant: string, generationId: string) => Promise<boolean>;
  /** Texts of spans, in their order. */
  readSpans: (tenant: string, query: SpansQuery) => Promise<SpanRead[]>;
}
