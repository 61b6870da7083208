import type { Caller } from '../../domain/events/change.js';
import type {
  ReleaseCheck,
  ReleaseProgress,
  RevertCause,
  Target,
} from '../../domain/release/contract.js';
import type { ServingLease } from '../../domain/release/readiness.js';
import type {
  AdvanceMove,
  PointerMove,
  PointerNow,
  ReleaseMove,
  ReleaseNote,
  ReleaseRecord,
  StoredFacts,
  StoredProgress,
} from '../../domain/release/record.js';
import type { ShadowCounts, ShadowVerdict } from '../../domain/release/shadow-verdict.js';

/** The signed facts behind a release, or the code that refuses it. */
export type ApprovalAnswer =
  { ok: true; nonces: string[]; approvers: string[] } | { ok: false; code: string; reason: string };

/**
 * What the activities of `release` ask for. Every move names the step that it follows (`expectedSeq`): a repeated or
 * late one writes nothing and answers with the release as it is.
 */
export interface ReleaseDeps {
  loadRelease: (tenant: string, releaseId: string) => Promise<ReleaseRecord>;
  advanceRelease: (caller: Caller, move: AdvanceMove) => Promise<ReleaseProgress>;
  /** Notes what a tick found without a step. */
  noteRelease: (tenant: string, note: ReleaseNote) => Promise<ReleaseProgress>;
  nextOrder: (
    tenant: string,
    releaseId: string,
  ) => Promise<{ commandId: string; command: string; reason: string; actor: string } | undefined>;
  ignoreOrder: (tenant: string, commandId: string) => Promise<void>;
  /** Ends the release with its report, frees the pointer, lets the release behind it go. */
  finishRelease: (
    caller: Caller,
    move: ReleaseMove & { checks: ReleaseCheck[]; laggards?: string[] },
  ) => Promise<ReleaseProgress>;

  beginShadow: (
    caller: Caller,
    move: Pick<ReleaseMove, 'releaseId' | 'expectedSeq' | 'machine'> & { expectedEpoch: number },
  ) => Promise<PointerMove>;
  endShadow: (
    caller: Caller,
    move: ReleaseMove & { verdict: ShadowVerdict; patch: StoredProgress },
  ) => Promise<ReleaseProgress>;
  /** Compare-and-swap on the epoch; consumes the nonces in its transaction. @throws APPROVAL_INVALID */
  promoteVersion: (
    caller: Caller,
    move: Pick<ReleaseMove, 'releaseId' | 'expectedSeq' | 'machine'> & {
      expectedEpoch: number;
      approval: { approvalId: string; nonces: string[] } | null;
    },
  ) => Promise<PointerMove>;
  restoreRouting: (
    caller: Caller,
    move: Pick<ReleaseMove, 'releaseId' | 'expectedSeq' | 'machine'>,
  ) => Promise<ReleaseProgress>;

  readPointer: (tenant: string, target: Target) => Promise<PointerNow>;
  preflightFacts: (
    tenant: string,
    release: Target & { version: number; approvalId: string | null },
  ) => Promise<StoredFacts>;
  leases: (tenant: string, target: Target) => Promise<ServingLease[]>;
  liveCounts: (
    tenant: string,
    of: { env: string; name: string; fromEpoch: number },
  ) => Promise<{ n: number; errors: number }>;
  shadowCounts: (
    tenant: string,
    shadowId: string,
    maxLatencyRatio: number,
  ) => Promise<ShadowCounts>;
  labelledDecisions: (
    tenant: string,
    of: { env: string; name: string; version: number; fromEpoch: number; limit: number },
  ) => Promise<{ decisionId: string; label: string }[]>;
  /** Accuracy (0 … 1) of the evaluation that the approval is bound to; null where there is none. */
  referenceAccuracy: (tenant: string, approvalId: string) => Promise<number | null>;

  /** Row, signatures, distinct people, digest of the facts as they are now, expiry. */
  verifyApproval: (
    tenant: string,
    asked: { approvalId: string; model: string; version: number; env: string; planDigest: string },
  ) => Promise<ApprovalAnswer>;
  /** True where the stored bytes still have this digest; reads all of them. */
  artifactMatches: (ref: string, digest: string) => Promise<boolean>;
  /** The predicted label of each decision, decrypted; a decision whose output is gone is left out. */
  predictedLabels: (tenant: string, decisionIds: string[]) => Promise<Record<string, string>>;
}

/** The release that an activity works on, and the step that it was asked at. */
export interface ReleaseStepRef {
  tenant: string;
  releaseId: string;
  /** Number of the step; where the release has gone on, the activity changes nothing. */
  seq: number;
}

/** What a revert leaves as its reason. */
export interface RevertRequest {
  cause: RevertCause;
  reason: string;
  checks?: ReleaseCheck[];
  laggards?: string[];
}
