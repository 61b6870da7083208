import type { ApprovalState } from '../domain/approval/contract.js';
import type { PublicationState } from '../domain/datasets/contract.js';
import type { EvaluationState } from '../domain/evaluation/contract.js';
import type { InferenceState } from '../domain/inference/contract.js';
import type { ReleaseState } from '../domain/release/contract.js';
import type { TrainingState } from '../domain/training/contract.js';

/** What `--wait` makes of a state: go on, or stop and say how it ended. */
export type StateOutcome = 'open' | 'succeeded' | 'failed' | 'needs-person';

const outcomes = {
  QUEUED: 'open',
  ADMITTED: 'open',
  RUNNING: 'open',
  EVALUATING_HOLDOUT: 'open',
  PACKAGING: 'open',
  REGISTERED: 'succeeded',
  BUDGET_EXCEEDED: 'failed',
  REJECTED_INPUT: 'failed',
  COMPLETED: 'succeeded',
  RECEIVED: 'open',
  PROFILING: 'open',
  VALIDATING: 'open',
  FILTERING_CONSENT: 'open',
  REDACTING: 'open',
  STAGED: 'open',
  PUBLISHED: 'succeeded',
  QUARANTINED: 'needs-person',
  DISCARDED: 'failed',
  PREFLIGHT: 'open',
  WARMING: 'open',
  SHADOWING: 'open',
  SHIFTING: 'open',
  BAKING: 'open',
  ANALYSING: 'open',
  PAUSED: 'needs-person',
  PROMOTING: 'open',
  VERIFYING: 'open',
  BAKING_LABELS: 'open',
  ROLLING_BACK: 'open',
  SUCCEEDED: 'succeeded',
  ROLLED_BACK: 'failed',
  ABORTED: 'failed',
  SUPERSEDED: 'failed',
  ACCEPTED: 'open',
  WAITING: 'open',
  BLOCKED: 'failed',
  TRUNCATED: 'succeeded',
  FAILED: 'failed',
  CANCELLED: 'failed',
  EXPIRED: 'failed',
  LOST: 'failed',
  PENDING: 'open',
  PARTIAL: 'open',
  APPROVED: 'succeeded',
  REJECTED: 'failed',
  CHANGES_REQUESTED: 'failed',
  WITHDRAWN: 'failed',
  INVALIDATED: 'failed',
} as const satisfies Record<
  | TrainingState
  | EvaluationState
  | PublicationState
  | ReleaseState
  | InferenceState
  | ApprovalState,
  StateOutcome
>;

/** The outcome of a state; one that this build does not know is still open, so that nothing is called done too early. */
const stateOutcome = (state: string): StateOutcome =>
  (outcomes as Record<string, StateOutcome>)[state] ?? 'open';

/** What the verbs that end something want to see: there these states are success. */
const wanted: Record<string, readonly string[]> = {
  cancel: ['CANCELLED'],
  abort: ['ABORTED', 'ROLLED_BACK'],
  discard: ['DISCARDED'],
  withdraw: ['WITHDRAWN'],
  pause: ['PAUSED'],
};

/** What a person decides with: the state that asked for it may still be shown for a moment. */
const decisions = new Set(['release', 'resume', 'proceed', 'discard', 'cancel', 'abort']);

/** What a state means after `verb`: an abort that ends as ABORTED has succeeded, a resumed PAUSED goes on. */
export function outcomeFor(verb: string, state: string): StateOutcome {
  if (wanted[verb]?.includes(state) === true) return 'succeeded';
  const outcome = stateOutcome(state);
  return outcome === 'needs-person' && decisions.has(verb) ? 'open' : outcome;
}
