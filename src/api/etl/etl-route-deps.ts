import type { ArtifactStore } from '../../domain/artifacts.js';
import type { FieldError } from '../../domain/errors.js';
import type { Caller, Outcome, StartedFacts } from '../../domain/events/change.js';
import type {
  DocumentSummary,
  DocumentView,
  QuarantineVerb,
  QuarantineView,
  Recorded,
} from '../../domain/etl/document-requests.js';
import type { SubmittedChange } from '../../domain/etl/ledger.js';
import type { LedgerReads } from '../../domain/etl/ledger-reads.js';
import type {
  ChangeCollection,
  ChangedCollection,
  CollectionView,
  CreateCollection,
  CreateSource,
  DecideScan,
  DeleteMode,
  Reembed,
  ScanDecision,
  ScanView,
  SourceKind,
  SourceView,
} from '../../domain/etl/collection-view.js';
import type { DecideGeneration, GenerationDecision } from '../../domain/etl/generation-decision.js';
import type { Page } from '../paging.js';
import type { Links } from '../started.js';

/** An embedder that this installation offers. */
export interface EmbedderOffer {
  embedder: string;
  embedSpec: Record<string, unknown>;
  embedFp: string;
  dims: number;
  /** Made from the documents of a collection: only a re-embedding can use it. */
  fitted: boolean;
}

/** A vector store that this installation offers. */
export interface SinkOffer {
  maxDims: number;
  /** The store that answers words: itself, or the companion beside it. */
  lexicalSink: string;
}

/** What decides the vectors of a generation. */
export interface GenerationSpecFacts {
  embedder: string;
  embedSpec: Record<string, unknown>;
  embedFp: string;
  dims: number;
  sink: string;
  lexicalSink: string;
  /** As {@link EmbedderOffer} says: its fingerprint is known once it is fitted. */
  fitted: boolean;
}

/** What the endpoints of `etl` ask for. Lists answer one more than `limit` where there is more. */
export interface EtlRouteDeps {
  findEmbedder: (name: string) => EmbedderOffer | undefined;
  findSink: (name: string) => SinkOffer | undefined;
  createCollection: (
    caller: Caller,
    input: CreateCollection,
    spec: GenerationSpecFacts,
  ) => Promise<Outcome<CollectionView>>;
  changeCollection: (
    caller: Caller,
    collectionId: string,
    change: ChangeCollection,
  ) => Promise<Outcome<ChangedCollection>>;
  findCollection: (tenant: string, collectionId: string) => Promise<CollectionView | undefined>;
  listCollections: (
    tenant: string,
    filter: { name?: string | undefined },
    page: Page,
  ) => Promise<CollectionView[]>;
  reembed: (
    caller: Caller,
    asked: {
      collectionId: string;
      request: Reembed;
      reader: { subject: string; groups: string[] };
    },
    spec: (live: { sink: string }) => GenerationSpecFacts,
  ) => Promise<Outcome<StartedFacts>>;
  rebuild: (
    caller: Caller,
    collectionId: string,
    asked: { holdMs: number },
  ) => Promise<Outcome<StartedFacts>>;
  decideGeneration: (
    caller: Caller,
    collectionId: string,
    asked: DecideGeneration,
  ) => Promise<Outcome<GenerationDecision>>;
  rollback: (
    caller: Caller,
    collectionId: string,
    asked: { generationId: string; reason: string },
  ) => Promise<
    Outcome<{
      collectionId: string;
      generationId: string;
      previousGenerationId: string;
      generationEpoch: number;
    }>
  >;
  reconcile: (
    caller: Caller,
    collectionId: string,
    asked: { generationId?: string | undefined },
  ) => Promise<Outcome<StartedFacts>>;
  createSource: (caller: Caller, input: CreateSource) => Promise<Outcome<SourceView>>;
  /** What is wrong with a configuration beyond its form: a folder outside the allowed roots, an address. */
  checkSource: (kind: SourceKind, config: Record<string, unknown>) => Promise<FieldError[]>;
  moveSource: (
    caller: Caller,
    sourceId: string,
    asked: { to: 'ACTIVE' | 'PAUSED'; reason: string },
  ) => Promise<Outcome<SourceView>>;
  deleteSource: (
    caller: Caller,
    sourceId: string,
    mode: DeleteMode,
  ) => Promise<Outcome<StartedFacts>>;
  findSource: (tenant: string, sourceId: string) => Promise<SourceView | undefined>;
  listSources: (
    tenant: string,
    filter: { collectionId?: string | undefined; state?: string | undefined },
    page: Page,
  ) => Promise<SourceView[]>;
  /** The tenant of a webhook source, before anything is proven. */
  findHookTenant: (sourceId: string) => Promise<string | undefined>;
  /** The key that deliveries of a source are signed with (`hookKey` of a tenant key that does not rotate). */
  hookKey: (tenant: string, sourceId: string) => Promise<Uint8Array>;
  /** Bytes behind the address of a pushed message, by egress. @throws EGRESS_REFUSED, EGRESS_FAILED */
  openUrl: (
    url: string,
    how: { maxBytes: number; signal: AbortSignal },
  ) => Promise<{ body: AsyncIterable<Uint8Array>; mediaType?: string | undefined }>;
  startScan: (caller: Caller, sourceId: string) => Promise<Outcome<StartedFacts>>;
  decideScan: (caller: Caller, scanId: string, asked: DecideScan) => Promise<Outcome<ScanDecision>>;
  findScan: (tenant: string, scanId: string) => Promise<ScanView | undefined>;
  listScans: (
    tenant: string,
    filter: { sourceId?: string | undefined; state?: string | undefined },
    page: Page,
  ) => Promise<ScanView[]>;
  /** The one way in for changes: the ledger's. */
  submitChanges: (
    caller: Caller,
    sourceId: string,
    changes: readonly SubmittedChange[],
  ) => Promise<Outcome<Recorded>>;
  findDocument: (tenant: string, docId: string) => Promise<DocumentView | undefined>;
  listDocuments: (
    tenant: string,
    filter: { collectionId?: string | undefined; sourceId?: string | undefined },
    page: Page,
  ) => Promise<DocumentSummary[]>;
  findDocumentKey: (
    tenant: string,
    docId: string,
  ) => Promise<{ sourceId: string; naturalKey: string } | undefined>;
  suppressDocument: (caller: Caller, docId: string) => Promise<void>;
  /** Text of a revision for a reader, as the ledger allows it. */
  readSpans: LedgerReads['readSpans'];
  decideItem: (
    caller: Caller,
    itemId: string,
    asked: { verb: QuarantineVerb; reason: string },
  ) => Promise<Outcome<QuarantineView>>;
  findItem: (tenant: string, itemId: string) => Promise<QuarantineView | undefined>;
  listItems: (
    tenant: string,
    filter: {
      collectionId?: string | undefined;
      sourceId?: string | undefined;
      state?: string | undefined;
      reason?: string | undefined;
    },
    page: Page,
  ) => Promise<QuarantineView[]>;
  artifacts: Pick<ArtifactStore, 'putStaged' | 'keepStaged' | 'dropStaged'>;
  /** Time for the whole body of an upload, in milliseconds. */
  uploadDeadlineMs: number;
  nowMs: () => number;
  links: Links;
}
