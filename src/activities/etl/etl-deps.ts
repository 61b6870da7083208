import type { TokenGuard } from '../../domain/etl/chunk-text.js';
import type { Embedder } from '../../domain/etl/embedder.js';
import type { GenerationFacts, Ledger, SourceFacts } from '../../domain/etl/ledger.js';
import type { LedgerEmbeddings } from '../../domain/etl/ledger-embeddings.js';
import type { LedgerShards } from '../../domain/etl/ledger-shards.js';
import type { Parser } from '../../domain/etl/parser.js';
import type { PullSource, ReconcileLedger, ScanLedger } from '../../domain/etl/scan.js';
import type { VectorSink } from '../../domain/etl/vector-sink.js';
import type { Caller } from '../../domain/events/change.js';
import type { EtlObserver } from './etl-observer.js';

export type { EtlObserver } from './etl-observer.js';

/** What scrubbing made of a text: counts by kind, tokens of the people it speaks of. */
export interface Scrubbed {
  text: string;
  counts: Readonly<Record<string, number>>;
  subjects: readonly string[];
}

/** The PII policy of a collection, with the tenant's key behind it. */
export interface Scrubber {
  policyVersion: string;
  keyId: string;
  scrub: (text: string) => Scrubbed;
  /** Second pass: a high-confidence hit that scrubbing should have replaced. */
  hasResidual: (text: string) => boolean;
  /** Token under which mentions of a declared subject are found. */
  subjectToken: (subject: string) => string;
}

/** Points at which the chaos runs stop a process (etl.md §14). */
type KillPoint =
  'etl.k3' | 'etl.k4' | 'etl.k5' | 'etl.k6' | 'etl.k7' | 'etl.k8' | 'etl.k9' | 'etl.k14';

/** What the activities of `etl` ask for. */
export interface EtlDeps {
  ledger: Pick<
    Ledger,
    | 'findSource'
    | 'generations'
    | 'claimBatch'
    | 'renewClaims'
    | 'findTouched'
    | 'settleSameBytes'
    | 'settleUnchanged'
    | 'settleAccess'
    | 'copiesBehind'
    | 'markCopies'
    | 'recordIntents'
    | 'recordDeletions'
    | 'openWrites'
    | 'commit'
    | 'committedRows'
    | 'startReconcile'
    | 'findNearDuplicates'
    | 'quarantine'
    | 'backlog'
    | 'deleteSourcePage'
    | 'endSource'
  >;
  embeddings: Pick<LedgerEmbeddings, 'findVectors' | 'saveVectors' | 'leaseTokens'>;
  shards: LedgerShards;
  scans: ScanLedger;
  reconciles: ReconcileLedger;
  /** ACTIVE → PAUSED with the code of what has to be changed first; others stay as they are. Idempotent, audited. */
  pauseSource: (caller: Caller, sourceId: string, code: string) => Promise<void>;
  /** The reader of a source's kind; undefined for push sources, whose bytes are artifacts. */
  pullSource: (kind: SourceFacts['kind']) => PullSource | undefined;
  /** Bytes that a push source sent. @throws DOCUMENT_REFUSED above 64 MiB, ARTIFACT_CORRUPT */
  readArtifact: (ref: string) => Promise<Uint8Array>;
  parser: Pick<Parser, 'parse'>;
  scrubber: (tenant: string, piiPolicy: SourceFacts['pipeline']['piiPolicy']) => Promise<Scrubber>;
  /** What every embedder of this installation takes of one text: no chunk is longer. */
  chunkTokens: TokenGuard;
  /** @throws EMBEDDER_UNKNOWN, EMBEDDER_MISCONFIGURED */
  embedder: (tenant: string, generation: GenerationFacts) => Promise<Embedder>;
  /** The store of a generation, made where it is not there yet. @throws SINK_UNKNOWN, SINK_REFUSED */
  sink: (tenant: string, generation: GenerationFacts) => Promise<VectorSink>;
  /** Name of this process; owner of the leases of single-writer stores. */
  processId: string;
  /** How long such a lease outlives its last renewal, milliseconds; 15 s by default. */
  leaseMs?: number | undefined;
  failpoint?: ((name: KillPoint) => Promise<void>) | undefined;
  log: { warn: (facts: object, message: string) => void };
  /** Counts and times (etl.md §13). */
  observe?: EtlObserver | undefined;
}
