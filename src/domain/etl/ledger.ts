import type { ArtifactRef } from '../artifacts.js';
import type { Caller, Outcome } from '../events/change.js';
import type { NearDuplicate } from './near-duplicates.js';

/** How a change came in; decides the order in which it is claimed. */
export type ChangeKind = 'upsert' | 'delete' | 'acl';

/** 1 erasure, 2 access and delete, 3 live change, 4 scan backlog, 5 backfill; Temporal's priority key agrees. */
export type ChangePriority = 1 | 2 | 3 | 4 | 5;

/** What a source still has to apply. */
interface Backlog {
  /** Changes that a batch could claim now. */
  pending: number;
  /** Changes that wait for a document which somebody holds, those of its holder among them. */
  held: number;
  /** The batches among the holders. */
  holders: string[];
  /** Age of the oldest change. */
  oldestMs: number;
  /** Of the most urgent change; absent where none is pending. */
  urgency?: ChangePriority | undefined;
}

/** What a source says about one document. `naturalKey` never leaves the process in clear. */
export interface ChangeRecord {
  naturalKey: string;
  kind: ChangeKind;
  /** Etag, mtime and size, delivery id: the same version is recorded once. */
  sourceVersion: string;
  /** Order that the source gives; undefined: order of receipt. */
  seq?: bigint | undefined;
  /** Artifact with the bytes; push sources only. */
  contentRef?: string | undefined;
  content?: PushedContent | undefined;
  /** Size of the bytes where the source says it; a claim counts 8 KiB where it does not. */
  bytes?: number | undefined;
  changedAtMs?: number | undefined;
  priority: ChangePriority;
}

/** A change that the API takes in. */
export interface SubmittedChange extends ChangeRecord {
  /**
   * Stores the bytes for good and answers their ref. Called once nothing refuses the change any more, so that one which is
   * refused, or was answered before, leaves no bytes.
   */
  keep?: (() => Promise<ArtifactRef>) | undefined;
}

/** What came with pushed bytes. */
export interface PushedContent {
  name: string;
  mediaType?: string | undefined;
  title?: string | undefined;
  metadata?: Record<string, unknown> | undefined;
  acl?: string[] | undefined;
  subjects?: string[] | undefined;
}

/** A source as a batch needs it. */
export interface SourceFacts {
  sourceId: string;
  collectionId: string;
  kind: 'folder' | 'upload' | 'webhook';
  config: Record<string, unknown>;
  state: 'ACTIVE' | 'PAUSED' | 'FAILED' | 'DELETING' | 'DELETED';
  /** The source's own, else the collection's default. */
  acl: string[];
  retainRaw: boolean;
  pipeline: Pipeline;
}

/** What every document of a collection goes through. Sizes in characters. */
export interface Pipeline {
  chunking: { targetChars: number; maxChars: number };
  piiPolicy: Record<string, unknown>;
}

/** A generation that is written: every state but DROPPED. */
export interface GenerationFacts {
  generationId: string;
  collectionId: string;
  embedder: string;
  embedSpec: Record<string, unknown>;
  embedFp: string;
  dims: number;
  sink: string;
  state: 'BUILDING' | 'LIVE' | 'HOLDING';
  drifted: boolean;
}

/** What the committed chunk list and manifests say of a document, and what is in doubt. */
export interface Standing {
  manifests: { generationId: string; rev: number; rowIds: string[]; chunkIds: string[] }[];
  intents: {
    intentId: string;
    generationId: string;
    rev: number;
    rowIds: string[];
    addRowIds: string[];
    deleteRowIds: string[];
  }[];
}

/** A document that a batch holds; `fence` proves it. */
export interface ClaimedDocument {
  docId: string;
  naturalKey: string;
  fence: bigint;
  /** The change to apply: the newest one; older ones are superseded. */
  change: {
    kind: ChangeKind;
    sourceVersion: string;
    seq: bigint;
    contentRef?: string | undefined;
    content?: PushedContent | undefined;
    receivedAtMs: number;
  };
  deleted: boolean;
  liveRev: number | undefined;
  acl: string[];
  hashes: {
    sourceToken?: string | undefined;
    raw?: string | undefined;
    text?: string | undefined;
    meta?: string | undefined;
    acl?: string | undefined;
    parseFp?: string | undefined;
    chunkFp?: string | undefined;
  };
  standing: Standing;
  /** Gates that a person opened for these very bytes; used up by the commit of the next revision. */
  released: readonly { reason: string; rawHash: string }[];
  /** PREPARED by an earlier try of the same batch: only embedding and writing are left. */
  prepared: boolean;
  /**
   * A revision after the live one was begun and not committed, so that rows of the live one may be gone: the rungs that
   * end in "unchanged" do not hold; read, parse and record an intent.
   */
  inDoubt: boolean;
}

/** The change that a claim was for, once it is in effect. */
export interface AppliedChange {
  sourceKind: string;
  changeKind: ChangeKind;
  /** Seconds since it was received. */
  lagSeconds: number;
  /** Seconds since it was made, where its source says when that was. */
  changedLagSeconds?: number | undefined;
}

/** A document whose claim has ended. */
export interface Settled {
  docId: string;
  /** Undefined where no change was waiting: a generation that caught up. */
  change?: AppliedChange | undefined;
}

/** A new revision on its way in: what INTENT writes. */
export interface PreparedRevision {
  docId: string;
  fence: bigint;
  seq: bigint;
  sourceToken: string;
  rawHash: string;
  textHash: string;
  metaHash: string;
  aclHash: string;
  parseFp: string;
  chunkFp: string;
  pipelineFp: string;
  mediaType: string;
  acl: string[];
  title: string;
  metadata: Record<string, unknown>;
  subjects: string[];
  text: string;
  blocks: unknown[];
  rawRef?: string | undefined;
  simhash?: bigint | undefined;
  /** Tokens of the people the revision speaks of, found or declared. */
  mentions?: { subjectHmac: string; declared: boolean }[] | undefined;
  /** Counts by PII kind, flags of the gates; never text. */
  findings: Record<string, unknown>;
  chunks: {
    chunkId: string;
    textHash: string;
    start: number;
    end: number;
    page: number;
    headingPath: string[];
    /** What is embedded; kept sealed as what precedes the span, so that nothing is chunked again. */
    embedText: string;
  }[];
}

/** Why a document was stopped; evidence holds offsets and counts. */
export interface Stopped {
  docId: string;
  fence: bigint;
  stage: string;
  reason: string;
  hides: boolean;
  evidence: Record<string, unknown>;
  /** Of the bytes that were stopped, where they were read. */
  rawHash?: string | undefined;
}

/** One open intent of a batch with what is needed to carry it out. */
export interface OpenWrite {
  intentId: string;
  generationId: string;
  docId: string;
  rev: number;
  fence: bigint;
  /** All rows of the revision in chunk order: kept and added. */
  rowIds: string[];
  addRowIds: string[];
  deleteRowIds: string[];
  acl: string[];
  aclHash: string;
  title: string;
  metadata: Record<string, unknown>;
  /** One entry per row to add, in chunk order. */
  adds: { rowId: string; textHash: string; embedText: string; page: number }[];
}

/** New access of a document whose text is what it was. */
export interface SettledAccess {
  docId: string;
  fence: bigint;
  acl: string[];
  aclHash: string;
  /** Of the bytes that said so; absent where the change said it itself. */
  bytes?: Pick<PreparedRevision, 'sourceToken' | 'rawHash' | 'parseFp' | 'pipelineFp'> | undefined;
}

/** A document whose copies in a store are older than the ledger: of its access, of its metadata, or of both. */
export interface StoreCopy {
  docId: string;
  /** The revision whose rows these are. */
  rev: number;
  rows: { rowId: string; page: number }[];
  acl: string[];
  aclHash: string;
  /** Undefined where only the access has to follow. */
  metadata: Record<string, unknown> | undefined;
  metaHash: string;
}

/**
 * Port of the ledger: the write protocol of etl.md §5 in Postgres. Every function may be repeated; a writer whose
 * fence is stale changes nothing and learns it by being left out of the answer. Failures: `STORE_UNAVAILABLE`.
 */
export interface Ledger {
  findSource: (tenant: string, sourceId: string) => Promise<SourceFacts | undefined>;
  /** Generations of a collection that are written, live first. */
  generations: (tenant: string, collectionId: string) => Promise<GenerationFacts[]>;
  /**
   * Records changes and applies what must hold at once (W4): deletes hide, narrowed access holds, in this transaction.
   * A change known by (source, key, kind, version) is collapsed; one of a suppressed document is kept as SUPPRESSED and
   * never applied. Wakes the watcher once until it has looked.
   * @returns how many were new, and a token that `isApplied` answers for
   */
  recordChanges: (
    caller: Caller,
    sourceId: string,
    changes: readonly ChangeRecord[],
  ) => Promise<{ recorded: number; changeToken: string }>;
  /** Claims for 15 minutes what is due, by priority and order; again with the same batch: what it holds already. */
  claimBatch: (claim: {
    tenant: string;
    sourceId: string;
    batchId: string;
    maxDocuments: number;
    maxBytes: number;
  }) => Promise<ClaimedDocument[]>;
  renewClaims: (tenant: string, batchId: string) => Promise<void>;
  /** Rung 1 for a page: listed documents that are live, undisturbed, and have another token. @returns their keys */
  findTouched: (
    tenant: string,
    sourceId: string,
    listed: readonly { naturalKey: string; token: string }[],
  ) => Promise<string[]>;
  /**
   * Rung 2 for a page, without a claim: documents whose bytes and pipeline are what they were get their token. One that
   * waits for a change, is held or in doubt is left alone.
   * @returns keys of those that did not change
   */
  settleSameBytes: (
    tenant: string,
    of: { sourceId: string; pipelineFps: readonly string[] },
    documents: readonly { naturalKey: string; token: string; rawHash: string }[],
  ) => Promise<string[]>;
  /** Rungs 1 to 3: nothing changed; tokens and hashes are stored, the changes are APPLIED, claims end. */
  settleUnchanged: (
    tenant: string,
    batchId: string,
    documents: readonly {
      docId: string;
      fence: bigint;
      sourceToken: string;
      rawHash?: string | undefined;
      /** Where the way to the same text or chunks is a new one. */
      parseFp?: string | undefined;
      chunkFp?: string | undefined;
      pipelineFp?: string | undefined;
      /** Not found when it was read: its intents stay in doubt, and whatever is found there next is a change. */
      gone?: true | undefined;
      /** What the change says about access where it says it itself: what is live has it, and holds it again from now on. */
      acl?: readonly string[] | undefined;
    }[],
  ) => Promise<Settled[]>;
  /** INTENT, in one transaction: takes `rev`, writes PREPARED revision, chunk list and one intent per generation. */
  recordIntents: (
    tenant: string,
    batchId: string,
    revisions: readonly PreparedRevision[],
  ) => Promise<{ docId: string; rev: number }[]>;
  /**
   * Rung 5: access alone. The ledger holds it at once; stores follow by `copiesBehind` and `markCopies`.
   * The changes are APPLIED, claims end. With a source token where the whole document came: it is what the source says now.
   */
  settleAccess: (
    tenant: string,
    batchId: string,
    documents: readonly SettledAccess[],
  ) => Promise<Settled[]>;
  /** Documents whose rows in this generation carry older access or metadata than the ledger. */
  copiesBehind: (tenant: string, generationId: string, limit: number) => Promise<StoreCopy[]>;
  /** The store's copies have this access and metadata now. */
  markCopies: (
    tenant: string,
    generationId: string,
    copies: readonly Pick<StoreCopy, 'docId' | 'rev' | 'acl' | 'aclHash' | 'metaHash'>[],
  ) => Promise<void>;
  /** INTENT of a deletion: every row of the document in every generation. */
  recordDeletions: (
    tenant: string,
    batchId: string,
    documents: readonly { docId: string; fence: bigint; seq: bigint }[],
  ) => Promise<void>;
  /** What the batch still has to write. */
  openWrites: (tenant: string, batchId: string) => Promise<OpenWrite[]>;
  /**
   * COMMIT by compare-and-swap on the fence: live revision, manifests, hashes, DONE intents, APPLIED changes, outbox, audit
   * entry. Intents of generations that are not named stay open (W5); the live one must be among them.
   */
  commit: (
    tenant: string,
    batchId: string,
    documents: readonly {
      docId: string;
      fence: bigint;
      rev: number;
      /** Generations that were written; undefined: all. */
      generationIds?: readonly string[] | undefined;
      /** Rows that no store holds, because their chunks have nothing to embed. */
      unindexedRowIds?: readonly string[] | undefined;
    }[],
  ) => Promise<Settled[]>;
  /**
   * Claims documents whose manifest in a generation is not at their live revision and records what is missing there:
   * backfill of a new generation and catching up of one that failed. `openWrites` and `commit` carry it out.
   * @returns how many were claimed; 0: none is left that nobody holds
   */
  claimLagging: (claim: {
    tenant: string;
    generationId: string;
    batchId: string;
    maxDocuments: number;
  }) => Promise<{ claimed: number }>;
  /**
   * Says which documents hold up a generation that catches up: an item with the generation in its evidence, one however
   * often it is tried. Their live revision is what it was, not stale. The item is resolved once the generation has the
   * document, or is dropped.
   */
  quarantineLagging: (of: {
    tenant: string;
    batchId: string;
    generationId: string;
    stopped: readonly Stopped[];
  }) => Promise<void>;
  /**
   * Which of these documents are committed at `rev` in this generation with nothing in doubt, with the rows that the
   * store has to hold of them.
   */
  committedRows: (
    tenant: string,
    generationId: string,
    documents: readonly { docId: string; rev: number }[],
  ) => Promise<{ docId: string; rowIds: string[] }[]>;
  /** Starts a reconcile of the generation unless one runs. */
  startReconcile: (caller: Caller, generationId: string) => Promise<void>;
  /** Per document the live one of the collection whose simhash differs least, where that is in at most 3 bits. */
  findNearDuplicates: (
    tenant: string,
    collectionId: string,
    documents: readonly { docId: string; simhash: bigint }[],
  ) => Promise<Map<string, NearDuplicate>>;
  /** Quarantines; the earlier revision keeps serving, stale — or is hidden where the gate is about access. */
  quarantine: (tenant: string, batchId: string, stopped: readonly Stopped[]) => Promise<void>;
  /**
   * {@link recordChanges} for the API: the answer is kept under the caller's key, the wake is in the outcome.
   * @throws DOCUMENT_SUPPRESSED, NOT_FOUND
   */
  submitChanges: (
    caller: Caller,
    sourceId: string,
    changes: readonly SubmittedChange[],
  ) => Promise<Outcome<{ recorded: number; changeToken: string }>>;
  /** Whether nothing that was recorded with this token is waiting any more. @throws NOT_FOUND for an unknown token */
  isApplied: (tenant: string, changeToken: string) => Promise<boolean>;
  /** Clears `wake_pending` and answers what is due now; changes under a claim that has lapsed are due again. */
  backlog: (tenant: string, sourceId: string) => Promise<Backlog>;
  /**
   * Records the deletions of some documents of a source that goes with them; nothing where it does not.
   * @param after where the page begins; `''` for the first
   * @returns where the next page begins; undefined: this was the last one
   */
  deleteSourcePage: (
    caller: Caller,
    sourceId: string,
    after: string,
  ) => Promise<string | undefined>;
  /** DELETING → DELETED where no change is left to apply. @returns false where one is, or the source is not DELETING */
  endSource: (caller: Caller, sourceId: string) => Promise<boolean>;
}
