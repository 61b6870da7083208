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
  start: number;
  end: number;
  /** 0 where there are no pages. */
  page: number;
  headingPath: string[];
  title: string;
  /** Hash of the embedded text of the chunk. */
  textHash: string;
  /** Since when the revision is older than its source because the newer one is quarantined. */
  staleSince: string | undefined;
}

/** A span of a revision. Purpose and principals are checked like those of a search. */
export interface SpanQuery {
  docId: string;
  rev: number;
  start: number;
  end: number;
  principals: readonly string[];
  purpose: string;
}

/** What reading needs from the ledger (etl.md §5 READ, §11). Failures: `STORE_UNAVAILABLE`. */
export interface LedgerReads {
  /** Drops what is not committed, hidden, deleted or not allowed; answers in the order of the candidates. */
  readFilter: (tenant: string, query: ReadQuery) => Promise<ReadHit[]>;
  /** Whether anything was ever committed to a generation; until then its store may have no place for it. */
  hasRows: (tenant: string, generationId: string) => Promise<boolean>;
  /** @throws NOT_FOUND where the reader may not see it; REVISION_EXPIRED, REVISION_ERASED */
  spanText: (
    tenant: string,
    query: SpanQuery,
  ) => Promise<{ text: string; title: string; current: boolean }>;
  /** How far a collection is behind its sources. */
  freshness: (
    tenant: string,
    collectionId: string,
  ) => Promise<{ oldestUnappliedMs: number; lastCompleteScanAt: string | undefined }>;
}
