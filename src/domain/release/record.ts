import type { WaitingOn } from '../search-attributes.js';
import type {
  PauseReason,
  ReleaseCheck,
  ReleasePlan,
  ReleaseProgress,
  ReleaseState,
  ReleaseStrategy,
  RevertCause,
  Target,
} from './contract.js';
import type { KillInForce, RoutingDocument } from './routing.js';
import type { ReleaseMachine } from './transitions.js';

/** The `progress` column: every member is absent until it is known. Times in ms since the epoch. */
export interface StoredProgress {
  pausedFrom?: ReleaseState | null;
  pauseReason?: PauseReason | null;
  pauseDeadlineMs?: number | null;
  frozenUntilMs?: number | null;
  shadowId?: string | null;
  movedEpoch?: number | null;
  restoredEpoch?: number | null;
  promoted?: boolean;
  propagatedMs?: number | null;
  labelsSinceMs?: number | null;
  cause?: RevertCause | null;
  laggards?: string[];
  /** What was live before the release moved anything. */
  earlier?: { active: number | null; previous: number | null };
}

/** A release as its activities see it. */
export interface ReleaseRecord extends Target {
  tenant: string;
  releaseId: string;
  version: number;
  strategy: ReleaseStrategy;
  approvalId: string | null;
  plan: ReleasePlan;
  planDigest: string;
  requestedBy: string;
  progress: ReleaseProgress;
  earlier: { active: number | null; previous: number | null } | null;
}

/** One move of a release: the step it follows, the machine after it, and what it leaves behind. */
export interface ReleaseMove {
  releaseId: string;
  /** The step that the move follows; where the release has gone on, nothing is written. */
  expectedSeq: number;
  machine: ReleaseMachine;
  reason: string;
  checks?: ReleaseCheck[];
  waitingOn?: WaitingOn;
  patch?: StoredProgress;
  /** Kept on the row where the move goes back: what went wrong. */
  failure?: { code: string; message: string };
}

/** What a tick found without a move. */
export type ReleaseNote = Pick<ReleaseMove, 'releaseId' | 'expectedSeq' | 'waitingOn'> & {
  patch: StoredProgress;
};

/** A move that touches nothing but the release. */
export type AdvanceMove = ReleaseMove & {
  /** Past tense of what happened, for the event and the audit entry. */
  word: string;
  /** The order that is carried out by it. */
  order?: { commandId: string; actor: string };
};

/** What a move of the pointer came to. Where it did not move, the reason says what to look at again. */
export type PointerMove =
  | { moved: true; progress: ReleaseProgress }
  | { moved: false; reason: 'STALE_EPOCH' | 'KILLED' | 'WITHDRAWN'; progress: ReleaseProgress };

/** What Postgres knows before a release moves anything; approval and artifact are looked at elsewhere. */
export interface StoredFacts {
  assurance: string;
  artifactRef: string;
  artifactDigest: string;
  contract: unknown;
  /** Contract of the active version; null where there is none. */
  activeContract: unknown;
  approval: { contractBreak: boolean; requestedAtMs: number } | null;
  barredAtMs: number | null;
  wasActive: boolean;
}

/** The pointer of a target, and the kill switches that are on for it even where no pointer exists yet. */
export interface PointerNow {
  routing: RoutingDocument | undefined;
  kills: KillInForce[];
}

/** What a serving process reports of a target. */
export interface HeldTarget extends Target {
  epoch: number;
  ready: number[];
  failures: Record<string, string>;
}

/** What a serving process has to hold. */
export interface FollowedTarget extends Target {
  /** Versions of running releases, to be loaded before they get weight. */
  candidates: number[];
  routing: RoutingDocument | null;
}
