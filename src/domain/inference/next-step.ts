import type { FailureClass } from './runtime.js';

/** Which kinds of failure a candidate takes over from the one before it. */
export type FallbackKind = 'error' | 'rate_limit' | 'context';

/** One place a request can be answered at. */
interface Candidate {
  version: number;
  /** What makes this candidate take over; of no meaning for the first. */
  accepts: readonly FallbackKind[];
}

/** The limits of one request; all of them travel with it. */
export interface AttemptPlan {
  candidates: readonly Candidate[];
  /** Attempts in all, over all candidates. */
  maxAttempts: number;
  /** Attempts at one candidate while another would take over. */
  triesPerCandidate: number;
  /** Milliseconds since the epoch. */
  deadlineMs: number;
  /** Full jitter: 0 … min(capMs, baseMs · 2ⁿ). */
  backoff: { baseMs: number; capMs: number };
  /** Longest `Retry-After` that is waited for. */
  retryAfterCapMs: number;
}

/** One finished attempt, as the next decision sees it. */
export interface AttemptRecord {
  /** Index into the candidates. */
  candidate: number;
  class: FailureClass | 'ok';
  endedMs: number;
  retryAfterMs?: number | undefined;
}

/** How a request ends; the code is absent for an answer. */
export type AttemptOutcome =
  | { state: 'SUCCEEDED' }
  | {
      state: 'FAILED' | 'EXPIRED';
      code: 'ALL_ATTEMPTS_FAILED' | 'OUTPUT_CONTRACT_VIOLATION' | 'DEADLINE_EXCEEDED' | 'KILLED';
    };

/** What to do now. */
export type NextStep =
  | { kind: 'attempt'; candidate: number }
  | { kind: 'wait'; untilMs: number }
  | { kind: 'finish'; outcome: AttemptOutcome };

/** What the moment adds to the plan. */
export interface Moment {
  nowMs: number;
  /**
   * 0 ≤ u < 1, the same whenever the same attempt is judged again (derive it from the request and the attempt), so that
   * a wait that has elapsed is not drawn anew.
   */
  randomUnit: number;
  /** Candidates that may not be called now: killed, not loaded, or without a fitting contract. */
  ineligible?: ReadonlySet<number> | undefined;
}

/** How a failure class goes on (gateway.md §5): again here, and where else. */
interface ClassRule {
  /** `no`; `once`: one more attempt at once; `backoff`: with full jitter; `retry_after`: when the upstream says. */
  again: 'no' | 'once' | 'backoff' | 'retry_after';
  next: FallbackKind | undefined;
}

const stops: ClassRule = { again: 'no', next: undefined };
const moves: ClassRule = { again: 'no', next: 'error' };
const repeats: ClassRule = { again: 'backoff', next: 'error' };

const rules: Record<FailureClass, ClassRule> = {
  caller: stops,
  binding: moves,
  credential: moves,
  rate: { again: 'retry_after', next: 'rate_limit' },
  overload: repeats,
  server: repeats,
  network: repeats,
  timeout: repeats,
  truncated: repeats,
  invalid_output: { again: 'once', next: 'error' },
  content_policy: stops,
  context_length: { again: 'no', next: 'context' },
  worker_lost: repeats,
  killed: stops,
  policy: stops,
  budget: stops,
  deadline: stops,
};

const expired: AttemptOutcome = { state: 'EXPIRED', code: 'DEADLINE_EXCEEDED' };
const finish = (outcome: AttemptOutcome): NextStep => ({ kind: 'finish', outcome });

function failure(last: FailureClass): AttemptOutcome {
  if (last === 'deadline') return expired;
  if (last === 'killed') return { state: 'FAILED', code: 'KILLED' };
  const code = last === 'invalid_output' ? 'OUTPUT_CONTRACT_VIOLATION' : 'ALL_ATTEMPTS_FAILED';
  return { state: 'FAILED', code };
}

/** The next candidate in order that may be called and takes over this kind of failure. */
function successor(
  plan: AttemptPlan,
  from: number,
  how: { kind: FallbackKind | undefined; ineligible: ReadonlySet<number> },
): number | undefined {
  const { kind, ineligible } = how;
  if (kind === undefined) return undefined;
  const index = plan.candidates.findIndex(
    (candidate, at) => at > from && !ineligible.has(at) && candidate.accepts.includes(kind),
  );
  return index < 0 ? undefined : index;
}

/** When the same candidate may be asked again; undefined for never. Later than its cap, a `Retry-After` is never. */
function againAt(
  plan: AttemptPlan,
  tries: readonly AttemptRecord[],
  randomUnit: number,
): number | undefined {
  const last = tries.at(-1);
  if (last === undefined || last.class === 'ok') return undefined;
  const { again } = rules[last.class];
  const asked = last.retryAfterMs ?? 0;
  if (again === 'no' || asked > plan.retryAfterCapMs) return undefined;
  if (again === 'once') {
    return tries.filter((one) => one.class === last.class).length > 1 ? undefined : last.endedMs;
  }
  if (again === 'retry_after' && last.retryAfterMs !== undefined) return last.endedMs + asked;
  const { baseMs, capMs } = plan.backoff;
  const jitter = Math.floor(randomUnit * Math.min(capMs, baseMs * 2 ** (tries.length - 1)));
  return last.endedMs + Math.max(jitter, asked);
}

/**
 * The one owner of retry, fallback and stop (gateway.md §5). Pure: equal input, equal output. It stops after at most
 * `maxAttempts` attempts, never dispatches at or after the deadline, to an ineligible candidate or after a class that
 * ends the request, and a wait that would reach the deadline ends it now.
 */
export function nextStep(
  plan: AttemptPlan,
  attempts: readonly AttemptRecord[],
  moment: Moment,
): NextStep {
  const { nowMs, randomUnit, ineligible = new Set<number>() } = moment;
  const last = attempts.at(-1);
  if (last?.class === 'ok') return finish({ state: 'SUCCEEDED' });
  if (last !== undefined && attempts.length >= plan.maxAttempts) return finish(failure(last.class));
  if (nowMs >= plan.deadlineMs) return finish(expired);
  if (last === undefined) {
    if (!ineligible.has(0)) return { kind: 'attempt', candidate: 0 };
    const other = successor(plan, 0, { kind: 'error', ineligible });
    if (other !== undefined) return { kind: 'attempt', candidate: other };
    return finish({ state: 'FAILED', code: 'KILLED' });
  }
  const here = last.candidate;
  const tries = attempts.filter((one) => one.candidate === here);
  const other = successor(plan, here, { kind: rules[last.class].next, ineligible });
  const at = ineligible.has(here) ? undefined : againAt(plan, tries, randomUnit);
  const moveOn = last.class === 'rate' || tries.length >= plan.triesPerCandidate;
  if (other !== undefined && (at === undefined || moveOn)) {
    return { kind: 'attempt', candidate: other };
  }
  if (at === undefined) return finish(failure(last.class));
  if (at >= plan.deadlineMs) return finish(expired);
  return nowMs >= at ? { kind: 'attempt', candidate: here } : { kind: 'wait', untilMs: at };
}
