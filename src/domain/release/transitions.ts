import type {
  PauseReason,
  ReleaseOrder,
  ReleasePlan,
  ReleaseState,
  ReleaseStrategy,
  RevertCause,
} from './contract.js';

/**
 * The machine of a release.
 *
 * PREFLIGHT judges the facts. WARMING loads the candidate. SHADOWING lets it see sampled traffic. A weight step is
 * SHIFTING, BAKING, ANALYSING. PROMOTING moves all traffic, VERIFYING proves that every process holds it and that it
 * does not fail, BAKING_LABELS waits for the truth. From anywhere before the end a release can go back: ROLLING_BACK
 * restores what was live and ends as ROLLED_BACK, ABORTED (by a person, or before anything moved) or SUPERSEDED.
 * PAUSED remembers where it came from. Harm and people may revert at any time; nothing leaves a final state. A release of
 * strategy `rollback` is itself the harm action: it is never paused, and once it has moved the pointer it only goes on.
 */
export interface ReleaseMachine {
  state: ReleaseState;
  pausedFrom: ReleaseState | null;
  pauseReason: PauseReason | null;
  cause: RevertCause | null;
}

/** What can happen to a release. */
export type ReleaseEvent =
  | { type: 'PREFLIGHT_PASSED' }
  | { type: 'WARMED' }
  | { type: 'SHADOW_PASSED' }
  | { type: 'PROMOTED' }
  | { type: 'VERIFIED' }
  | { type: 'LABELS_BAKED' }
  | { type: 'PAUSE'; reason: PauseReason }
  | { type: 'RESUME' }
  | { type: 'PROCEED' }
  | { type: 'REVERT'; cause: RevertCause }
  | { type: 'REVERTED' };

export const finalReleaseStates: readonly ReleaseState[] = [
  'SUCCEEDED',
  'ROLLED_BACK',
  'ABORTED',
  'SUPERSEDED',
];
export const isFinalRelease = (state: ReleaseState): boolean => finalReleaseStates.includes(state);

const running: ReleaseState[] = [
  'WARMING',
  'SHADOWING',
  'SHIFTING',
  'BAKING',
  'ANALYSING',
  'PROMOTING',
  'VERIFYING',
  'BAKING_LABELS',
];

/** States after the pointer has moved to the version. */
const moved: ReleaseState[] = ['VERIFYING', 'BAKING_LABELS'];

/** Which state may follow which, weight steps included. */
export const legalMoves = {
  PREFLIGHT: ['WARMING', 'ROLLING_BACK'],
  WARMING: ['SHADOWING', 'SHIFTING', 'PROMOTING', 'PAUSED', 'ROLLING_BACK'],
  SHADOWING: ['SHIFTING', 'PROMOTING', 'PAUSED', 'ROLLING_BACK'],
  SHIFTING: ['BAKING', 'PAUSED', 'ROLLING_BACK'],
  BAKING: ['ANALYSING', 'PAUSED', 'ROLLING_BACK'],
  ANALYSING: ['BAKING', 'SHIFTING', 'PROMOTING', 'PAUSED', 'ROLLING_BACK'],
  PAUSED: [...running, 'ROLLING_BACK'],
  PROMOTING: ['VERIFYING', 'PAUSED', 'ROLLING_BACK'],
  VERIFYING: ['BAKING_LABELS', 'SUCCEEDED', 'PAUSED', 'ROLLING_BACK'],
  BAKING_LABELS: ['SUCCEEDED', 'PAUSED', 'ROLLING_BACK'],
  ROLLING_BACK: ['ROLLED_BACK', 'ABORTED', 'SUPERSEDED'],
  SUCCEEDED: [],
  ROLLED_BACK: [],
  ABORTED: [],
  SUPERSEDED: [],
} as const satisfies Record<ReleaseState, readonly ReleaseState[]>;

/** Final state by cause: nothing had moved and a person's order are ABORTED, the rest ROLLED_BACK. */
export function endOf(cause: RevertCause | null): ReleaseState {
  if (cause === 'SUPERSEDED') return 'SUPERSEDED';
  return cause === 'ABORTED' || cause === 'PREFLIGHT_FAILED' ? 'ABORTED' : 'ROLLED_BACK';
}

/** The stage after the shadow, or after warming where there is none. */
const firstMove = (plan: ReleasePlan): ReleaseState =>
  plan.steps.length > 0 ? 'SHIFTING' : 'PROMOTING';

/** The state that an event leads to by its own meaning; undefined where it has none here. */
function intended(
  machine: ReleaseMachine,
  event: ReleaseEvent,
  plan: ReleasePlan,
): ReleaseState | undefined {
  const { state, pausedFrom, pauseReason } = machine;
  const from = (expected: ReleaseState, to: ReleaseState) => (state === expected ? to : undefined);
  const isRollback = plan.strategy === 'rollback';
  const afterShadow = pauseReason === 'SHADOW_REVIEW' || pauseReason === 'SHADOW_INCONCLUSIVE';
  switch (event.type) {
    case 'PREFLIGHT_PASSED':
      return from('PREFLIGHT', 'WARMING');
    case 'WARMED':
      return from('WARMING', plan.shadow === undefined ? firstMove(plan) : 'SHADOWING');
    case 'SHADOW_PASSED':
      return from('SHADOWING', firstMove(plan));
    case 'PROMOTED':
      return from('PROMOTING', 'VERIFYING');
    case 'VERIFIED':
      return from('VERIFYING', plan.primaryMetric === undefined ? 'SUCCEEDED' : 'BAKING_LABELS');
    case 'LABELS_BAKED':
      return from('BAKING_LABELS', 'SUCCEEDED');
    case 'PAUSE':
      return running.includes(state) && !isRollback ? 'PAUSED' : undefined;
    case 'RESUME':
      return state === 'PAUSED' && !afterShadow ? (pausedFrom ?? undefined) : undefined;
    case 'PROCEED':
      return state === 'PAUSED' && afterShadow ? firstMove(plan) : undefined;
    case 'REVERT':
      return isFinalRelease(state) ||
        state === 'ROLLING_BACK' ||
        (isRollback && moved.includes(state))
        ? undefined
        : 'ROLLING_BACK';
    case 'REVERTED':
      return from('ROLLING_BACK', endOf(machine.cause));
  }
}

/**
 * The machine after an event, or undefined where the event is not legal here.
 * @param plan decides which stages there are
 */
export function transition(
  machine: ReleaseMachine,
  event: ReleaseEvent,
  plan: ReleasePlan,
): ReleaseMachine | undefined {
  const state = intended(machine, event, plan);
  const allowed: readonly ReleaseState[] = legalMoves[machine.state];
  if (state === undefined || !allowed.includes(state)) return undefined;
  return {
    state,
    pausedFrom: event.type === 'PAUSE' ? machine.state : null,
    pauseReason: event.type === 'PAUSE' ? event.reason : null,
    cause: event.type === 'REVERT' ? event.cause : machine.cause,
  };
}

/** The event that an order stands for. */
export function eventOfOrder(order: ReleaseOrder): ReleaseEvent {
  switch (order) {
    case 'pause':
      return { type: 'PAUSE', reason: 'OPERATOR' };
    case 'resume':
      return { type: 'RESUME' };
    case 'proceed':
      return { type: 'PROCEED' };
    case 'abort':
      return { type: 'REVERT', cause: 'ABORTED' };
    case 'supersede':
      return { type: 'REVERT', cause: 'SUPERSEDED' };
  }
}

/** The orders that are legal now: what a refusal names as `allowed`. */
export const allowedOrders = (machine: ReleaseMachine, plan: ReleasePlan): ReleaseOrder[] =>
  (['pause', 'resume', 'proceed', 'abort'] as const).filter(
    (order) => transition(machine, eventOfOrder(order), plan) !== undefined,
  );

/**
 * Whether the version may not be released again without a new approval. It is barred once it held weight, and after
 * its shadow failed; a plan that never began bars nobody.
 */
export const barsVersion = (
  cause: RevertCause | null,
  release: { promoted: boolean; strategy: ReleaseStrategy },
): boolean => release.strategy !== 'rollback' && (release.promoted || cause === 'SHADOW_FAILED');
