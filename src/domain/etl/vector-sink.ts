declare const isAccessFilter: unique symbol;

/** What a store promises; the write protocol and the conformance suite branch on it, never on a store's name. */
export interface SinkCaps {
  replace: 'atomic' | 'upsert-then-delete';
  tx: 'with-ledger' | 'own' | 'none';
  writers: 'single' | 'many';
  visibility: 'read-your-write' | 'token' | 'eventual';
  nativeBm25: boolean;
  alias: boolean;
  filter: 'pre' | 'post';
  /** Adds and deletes of one `replaceRows` together. */
  maxRows: number;
  /** Vectors (4 bytes a dimension), text and metadata of one `replaceRows`, in UTF-8. */
  maxBytes: number;
  maxMetadataBytes: number;
  maxDims: number;
  physicalErase: 'rewrite' | 'vacuum' | 'compaction' | 'vendor';
  verifiableErase: boolean;
}

/**
 * One generation of one tenant: everything in it was embedded the same way. 0 dimensions: text alone, vectors of its
 * rows are empty (the lexical companion of a store without BM25).
 */
export interface GenerationSpec {
  tenant: string;
  generationId: string;
  embedFp: string;
  dims: number;
}

/** A row of a store. `text` is what the lexical leg indexes; `metadata` ≤ 8 KiB as JSON. */
export interface SinkRow {
  rowId: string;
  docId: string;
  vector: Float32Array;
  text: string;
  /** Principal tokens that may read it: `user:…`, `group:…`, `public`. Sorted. */
  acl: string[];
  /** Digest of the access of the row, so that reconcile finds a stale copy without reading lists. */
  accessHash: string;
  metadata: Record<string, string | number | boolean>;
}

/** The access of one row as the ledger has it now. */
interface AccessPatch {
  acl: string[];
  accessHash: string;
}

/**
 * Who searches. Only `accessFilter` makes one, so that no search can be written without a tenant and at least one
 * principal token. `metadata` narrows further: every named field equals the value.
 */
export interface AccessFilter {
  readonly [isAccessFilter]: true;
  readonly tenant: string;
  readonly principals: readonly [string, ...string[]];
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
}

/** @throws TypeError where no principal is named: an empty filter has no meaning */
export function accessFilter(of: {
  tenant: string;
  principals: readonly string[];
  metadata?: Readonly<Record<string, string | number | boolean>> | undefined;
}): AccessFilter {
  const [first, ...rest] = of.principals;
  if (of.tenant === '' || first === undefined)
    throw new TypeError('an access filter names a tenant and a principal');
  return {
    tenant: of.tenant,
    principals: [first, ...rest],
    metadata: of.metadata ?? {},
  } as unknown as AccessFilter;
}

/** A candidate. `score` is the leg's own: cosine similarity for vectors (−1 to 1), BM25 for text (≥ 0). */
export interface Hit {
  rowId: string;
  docId: string;
  score: number;
}

/** One of `of` equal parts of a generation's rows by the first byte of `rowId`'s hex form. */
export interface Slice {
  index: number;
  of: 1 | 2 | 4 | 8 | 16;
}

/** What a physical erasure did. `remaining` is counted by an independent look into the store. */
export interface EraseReport {
  erased: number;
  remaining: number;
  proof: 'verified' | 'vendor_attested';
}

/** How much of a generation is not in its indexes yet, and what compaction would be for. */
interface SinkStats {
  rows: number;
  unindexedRows: number;
  /** Whether `compact` is worth running now. */
  wantsCompaction: boolean;
}

/**
 * Port of a vector store, bound to one generation of one tenant (etl.md §10). All writes are idempotent by `rowId`:
 * repeating one changes nothing. Correctness never rests on the store's atomicity (W3): readers filter by the ledger.
 * Failures: `SINK_UNAVAILABLE` (retryable), `SINK_REFUSED` (final; the message names the limit: wrong dimensions, NaN,
 * infinite or zero vector, a duplicate key in one batch, too many rows or bytes, metadata above the maximum).
 */
export interface VectorSink {
  readonly caps: SinkCaps;
  /**
   * Makes `adds` present and `deleteIds` absent: in one commit where `caps.replace` is atomic, else upsert, await
   * visibility, delete by id; never delete first. `epoch` fences single-writer stores: an older epoch is refused with
   * SINK_FENCED. A store that does it in two steps awaits `beforeDelete` between them; an atomic one never calls it.
   */
  replaceRows: (batch: {
    adds: readonly SinkRow[];
    deleteIds: readonly string[];
    epoch?: bigint | undefined;
    beforeDelete?: (() => Promise<void>) | undefined;
  }) => Promise<{ token?: string | undefined }>;
  awaitVisible: (token: string, deadlineMs: number) => Promise<void>;
  /** Changes the access copies of rows without touching vectors or text. */
  patchAccess: (
    patches: readonly { rowId: string; access: AccessPatch }[],
    epoch?: bigint,
  ) => Promise<void>;
  fetch: (rowIds: readonly string[]) => Promise<SinkRow[]>;
  scanIds: (slice: Slice) => AsyncIterable<{ rowId: string; docId: string; accessHash: string }>;
  /** One leg: by vector or by text, never both. Best first; ties by `rowId`. */
  search: (query: {
    leg: { vector: Float32Array } | { text: string };
    k: number;
    filter: AccessFilter;
    /** Exact search instead of the index (recall probe). */
    exact?: boolean | undefined;
  }) => Promise<Hit[]>;
  /** Removes rows with their bytes. Under the shard lease where `caps.writers` is `single`. */
  physicallyErase: (rowIds: readonly string[], epoch?: bigint) => Promise<EraseReport>;
  stats: () => Promise<SinkStats>;
  /** Merges new rows into the indexes and removes old versions; only under the shard lease. */
  compact?: ((epoch?: bigint) => Promise<void>) | undefined;
}

/** Port of a store of generations. */
export interface VectorStore {
  /** `lancedb`, `pgvector`, `milvus`. */
  readonly name: string;
  readonly caps: SinkCaps;
  /** Makes the generation's place; idempotent. @throws SINK_REFUSED where it exists with another `embedFp` or `dims` */
  ensureGeneration: (generation: GenerationSpec) => Promise<void>;
  /** The generation's rows; opening is cheap and cached. */
  sink: (generation: GenerationSpec) => VectorSink;
  /** Removes the generation with all bytes; idempotent. */
  dropGeneration: (generation: GenerationSpec) => Promise<void>;
  close: () => Promise<void>;
}
