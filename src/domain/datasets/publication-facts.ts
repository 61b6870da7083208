import type { ArtifactRef } from '../artifacts.js';
import type { Digest } from '../ids.js';
import type {
  FinalPublicationState,
  PublicationFailure,
  PublicationPlan,
  PublicationReject,
  SnapshotManifest,
} from './contract.js';
import type { DatasetContract } from './dataset-contract.js';

/** What the stages of a publication work on, as its row says. */
export interface PublicationFacts {
  publicationId: string;
  dataset: string;
  state: string;
  plan: PublicationPlan;
  contract: DatasetContract;
  source: { ref: ArtifactRef; digest: Digest };
}

/** Whether a publication may go on. */
export type Admission = 'ADMITTED' | 'CANCELLED';

/** How a quarantined batch stands. */
export interface QuarantineStanding {
  state: 'WAITING' | 'RELEASED' | 'DISCARDED' | 'CANCELLED';
  /** Milliseconds until the end of its time by the database's clock; 0 or less where it has passed. */
  remainingMs: number;
}

/** A snapshot ready to be published. */
export interface MadeSnapshot {
  snapshotId: Digest;
  manifest: SnapshotManifest;
  /** How many rows of each part are about which subject. */
  subjects: SubjectCount[];
}
export interface SubjectCount {
  subjectToken: string;
  part: number;
  rows: number;
}

/** What publishing came to. */
export type Publishing = { kind: 'PUBLISHED'; snapshotId: Digest } | { kind: 'CANCELLED' };

/** The end of a publication without a snapshot. */
export interface PublicationEnd {
  state: Exclude<FinalPublicationState, 'PUBLISHED'>;
  failure?: PublicationFailure | undefined;
}

/** How a publication has ended: a snapshot that won the race against the end stands. */
export interface PublicationOutcome {
  state: string;
  snapshotId?: string | undefined;
}

/** Rejected rows to list, in file order. */
export type ListedRejects = PublicationReject[];
