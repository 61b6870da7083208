import type { ArtifactRef } from '../../domain/artifacts.js';
import type { PublicationCounts } from '../../domain/datasets/contract.js';
import type {
  Admission,
  ListedRejects,
  MadeSnapshot,
  PublicationEnd,
  PublicationFacts,
  PublicationOutcome,
  Publishing,
  QuarantineStanding,
} from '../../domain/datasets/publication-facts.js';
import type {
  MergeInput,
  MergeResult,
  RejectedRow,
  StageDeps,
  StageInput,
  StageResult,
  StoredRow,
} from '../../domain/datasets/staging.js';
import type { Caller } from '../../domain/events/change.js';

/** The rows of publications in Postgres. Every function may be repeated. */
interface PublicationRows {
  /** RECEIVED → PROFILING, unless someone cancelled. */
  beginPublication: (caller: Caller, publicationId: string) => Promise<Admission>;
  /** Moves the publication forward and answers its facts. @throws ILLEGAL_TRANSITION where it is over */
  enterStage: (
    caller: Caller,
    publicationId: string,
    stage: 'VALIDATING' | 'STAGED',
  ) => Promise<PublicationFacts>;
  /** The snapshot of a publication that is PUBLISHED already. */
  findPublished: (tenant: string, publicationId: string) => Promise<string | undefined>;
  recordRejects: (tenant: string, publicationId: string, rejects: ListedRejects) => Promise<void>;
  recordStaged: (caller: Caller, publicationId: string, counts: PublicationCounts) => Promise<void>;
  quarantine: (caller: Caller, publicationId: string, quarantineMs: number) => Promise<void>;
  checkQuarantine: (caller: Caller, publicationId: string) => Promise<QuarantineStanding>;
  isCancelRequested: (tenant: string, publicationId: string) => Promise<boolean>;
  settlePublication: (
    caller: Caller,
    publicationId: string,
    end: PublicationEnd,
  ) => Promise<PublicationOutcome>;
  /** Publishes in one transaction; idempotent by publication. */
  publishSnapshot: (
    caller: Caller,
    publicationId: string,
    made: MadeSnapshot,
  ) => Promise<Publishing>;
}

/** What the activities of `datasets` ask for. */
export interface DatasetsDeps {
  publications: PublicationRows;
  /** First stage over the artifact store; safe to repeat. */
  stageRows: (input: StageInput, deps: StageDeps) => Promise<StageResult>;
  /** Second stage over the artifact store; safe to repeat. */
  mergeRuns: (
    input: MergeInput,
    deps: Pick<StageDeps, 'heartbeat' | 'signal'>,
  ) => Promise<MergeResult>;
  /** Rows of snapshot parts in canonical order, some at a time. */
  readParts: (parts: readonly { ref: ArtifactRef }[]) => AsyncIterable<StoredRow[]>;
  /** Rejected rows of one quarantine part, in file order. */
  readQuarantine: (ref: ArtifactRef) => AsyncIterable<RejectedRow[]>;
  dropStaged: (tenantId: string, scope: string) => Promise<void>;
  /** The pseudonyms of a tenant: equal identifiers give equal tokens. */
  tokeniser: (tenant: string) => Promise<(identifier: string) => string>;
}
