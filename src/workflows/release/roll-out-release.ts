import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  proxyActivities,
  setCurrentDetails,
} from '@temporalio/workflow';
import type { createReleaseActivities } from '../../activities/release/index.js';
import { isErrorCode } from '../../domain/errors.js';
import type {
  ReleaseProgress,
  RollOutReleaseInput,
  RollOutReleaseResult,
} from '../../domain/release/contract.js';
import { isFinalRelease } from '../../domain/release/transitions.js';
import { bookkeeping } from '../events/bookkeeping.js';
import { acceptWakes } from '../events/accept-wakes.js';
import { authorise } from '../events/authorise.js';
import { continueAsNew, shouldContinueAsNew } from '../events/continue-as-new.js';
import { trackStatus } from '../events/track-status.js';
import { releaseDetails } from './release-details.js';
import { at, ref, type Run } from './release-run.js';
import { takeStep } from './take-step.js';

const { loadReleaseProgress, revertRelease } =
  proxyActivities<ReturnType<typeof createReleaseActivities>>(bookkeeping);

/** Shows where the release is, names and numbers only; a tick that changed neither state nor wait costs no event. */
function createShow(input: RollOutReleaseInput): (progress: ReleaseProgress) => void {
  const move = trackStatus({ state: 'PREFLIGHT', waitingOn: 'nothing' });
  let shown = '';
  return (progress) => {
    const { state, waitingOn, pauseDeadlineMs, frozenUntilMs } = progress;
    const nextAtMs = state === 'PAUSED' ? pauseDeadlineMs : frozenUntilMs;
    const details = releaseDetails(input, progress);
    const line = `${state} ${waitingOn} ${nextAtMs}`;
    if (line === shown) setCurrentDetails(details);
    else move({ state, waitingOn, ...(nextAtMs === null ? {} : { nextAtMs }) }, details);
    shown = line;
  };
}

/** A stage that failed for good turns the release back; a rollback that fails for good fails the run. */
async function takeStepOrRevert(run: Run, progress: ReleaseProgress): Promise<ReleaseProgress> {
  try {
    return await takeStep(run, progress);
  } catch (error) {
    if (!(error instanceof ActivityFailure) || progress.state === 'ROLLING_BACK') throw error;
    const { cause } = error;
    const type = cause instanceof ApplicationFailure ? cause.type : undefined;
    const reverted = await revertRelease({
      ...at(run, progress),
      cause: 'FAILED',
      reason: cause?.message ?? error.message,
      code: isErrorCode(type) ? type : 'OPERATION_FAILED',
    });
    if (reverted.state === progress.state) throw error;
    return reverted;
  }
}

/**
 * Rolls a version out. What it decides on is in Postgres: the run waits, asks an activity to take the next step, and
 * learns where the release is; a wake makes it look at orders and kill switches. So a reset, a second run after
 * continue-as-new or a forged message finds the same facts and moves nothing twice.
 *
 * PREFLIGHT → WARMING → SHADOWING? → PROMOTING → VERIFYING → BAKING_LABELS? → SUCCEEDED, PAUSED on the way, or
 * ROLLING_BACK → ROLLED_BACK | ABORTED | SUPERSEDED
 */
export async function rollOutRelease(input: RollOutReleaseInput): Promise<RollOutReleaseResult> {
  const run: Run = { input, woken: false, closing: false, cancelled: false };
  const show = createShow(input);
  acceptWakes(run);
  // A cancelled release goes back, which takes activities and waits of its own.
  CancellationScope.current().cancelRequested.catch(() => {
    run.cancelled = true;
  });
  return CancellationScope.nonCancellable(async () => {
    await authorise({ ...input });
    let progress = await loadReleaseProgress(ref(run));
    // An order may have come between the last look of an earlier run and this one.
    run.woken = true;
    while (!isFinalRelease(progress.state)) {
      show(progress);
      progress = await takeStepOrRevert(run, progress);
      if (!isFinalRelease(progress.state) && shouldContinueAsNew(input.maxHistoryEvents)) {
        return continueAsNew<typeof rollOutRelease>(input);
      }
    }
    run.closing = true;
    show(progress);
    await condition(allHandlersFinished);
    return { releaseId: input.releaseId, state: progress.state };
  });
}
