import type { DivergenceAction, DivergenceKind, Restored } from './contract.js';

/** How Temporal says that a run stands. */
export type RunStatus =
  'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'TERMINATED' | 'TIMED_OUT' | 'OTHER';

/** The newest run under a workflow id, as Temporal knows it; times in milliseconds since the epoch. */
export interface RunFacts {
  runId: string;
  status: RunStatus;
  startedMs: number;
  closedMs: number | null;
  /** When a worker last carried it on; asked for after a restore alone. */
  progressedMs: number | null;
}

/** What Postgres says of the work that an intent asked for; times in milliseconds since the epoch. */
export interface WorkFacts {
  /** When the intent was committed. */
  committedMs: number;
  /** When the work ended; null while it is open, undefined where no row says. */
  settledMs: number | null | undefined;
  /** Restarts by the reconciler in the last hour. */
  restarts: number;
  /** A person asked to start this very run again. */
  restartAsked: boolean;
}

/** What to do about one run. */
export interface Judgement {
  kind: DivergenceKind;
  action: DivergenceAction;
  detail: string;
}

/** Restarts within an hour after which a person has to look: a run that never settles its work would be restarted for ever. */
const MAX_RESTARTS = 3;
/** The clocks of Postgres and Temporal agree within this. */
export const CLOCK_SKEW_MS = 5_000;
/** A run settles its work and then ends; one that is there so long after has lost its way. */
const LINGER_MS = 120_000;

/** A run that nobody authorised refuses itself within this. */
const REFUSAL_MS = 30_000;

const isoOf = (ms: number): string => new Date(ms).toISOString();

/** An open piece of work whose run is not there or has ended. */
function judgeEnded(
  work: WorkFacts,
  run: RunFacts | undefined,
  restored: Restored | undefined,
): Judgement {
  if (work.restarts >= MAX_RESTARTS) {
    const detail = `started again ${work.restarts} times within an hour and still not settled`;
    return { kind: 'ENDED_EARLY', action: 'HELD', detail };
  }
  if (run === undefined) {
    const detail = 'Temporal has no run of it; started from its intent';
    return { kind: 'MISSING_RUN', action: 'RESTARTED', detail };
  }
  // A run that began before the work was asked for belongs to a history that Postgres has lost.
  if (run.startedMs + CLOCK_SKEW_MS < work.committedMs) {
    const detail = `its id belonged to a run of ${isoOf(run.startedMs)}; started from its intent`;
    return { kind: 'MISSING_RUN', action: 'RESTARTED', detail };
  }
  const endedAfter =
    restored !== undefined && (run.closedMs ?? 0) + CLOCK_SKEW_MS >= restored.recoveredToMs;
  if (run.status === 'COMPLETED' || endedAfter) {
    const detail = `the run ended ${run.status} and its result is not in Postgres; started from its intent`;
    return { kind: 'LOST_RESULT', action: 'RESTARTED', detail };
  }
  if (work.restartAsked) {
    const detail = `the run ended ${run.status}; a person asked to start it again`;
    return { kind: 'ENDED_EARLY', action: 'RESTARTED', detail };
  }
  return {
    kind: 'ENDED_EARLY',
    action: 'HELD',
    detail: `the run ended ${run.status} and its work is open`,
  };
}

function judgeRunning(
  work: WorkFacts,
  run: RunFacts,
  at: { restored: Restored | undefined; nowMs: number },
): Judgement | undefined {
  const { restored, nowMs } = at;
  if (typeof work.settledMs === 'number') {
    if (nowMs - work.settledMs < LINGER_MS) return undefined;
    const detail = `its work ended at ${isoOf(work.settledMs)}`;
    return { kind: 'LINGERING_RUN', action: 'STOPPED', detail };
  }
  const ahead =
    restored !== undefined && (run.progressedMs ?? 0) + CLOCK_SKEW_MS >= restored.recoveredToMs;
  if (!ahead) return undefined;
  const detail = `it went on after ${isoOf(restored.recoveredToMs)}, up to which Postgres was restored; started anew from its intent`;
  return { kind: 'RUN_AHEAD', action: 'RESTARTED', detail };
}

/**
 * Compares one run with what Postgres says; Postgres decides. Open work whose run is gone is started from its intent, a
 * run that nothing asks for is stopped, and what ended otherwise than by its own is left to a person.
 * @param facts.work undefined where no intent of this workflow id is committed
 * @param facts.run undefined where Temporal has none
 * @param facts.restored the restore that is being reconciled; undefined in the passes of every minute
 * @returns undefined where both agree
 */
export function judgeRun(facts: {
  work: WorkFacts | undefined;
  run: RunFacts | undefined;
  restored: Restored | undefined;
  nowMs: number;
}): Judgement | undefined {
  const { work, run, restored } = facts;
  if (work === undefined) {
    if (run === undefined) return undefined;
    if (run.status === 'RUNNING') {
      // Its own first step refuses it, with an audit entry that says more.
      if (restored === undefined && facts.nowMs - run.startedMs < REFUSAL_MS) return undefined;
      const detail = 'nothing in Postgres asks for it';
      return { kind: 'ORPHANED_RUN', action: 'STOPPED', detail };
    }
    const after =
      restored !== undefined && (run.closedMs ?? 0) + CLOCK_SKEW_MS >= restored.recoveredToMs;
    if (!after) return undefined;
    const detail = `it ended ${run.status} at ${isoOf(run.closedMs ?? 0)}; Postgres, restored to ${isoOf(restored.recoveredToMs)}, does not know it`;
    return { kind: 'EFFECT_IN_DOUBT', action: 'HELD', detail };
  }
  if (run?.status === 'RUNNING') return judgeRunning(work, run, facts);
  if (work.settledMs !== null) return undefined;
  return judgeEnded(work, run, restored);
}
