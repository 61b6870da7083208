import type { ReleaseProgress } from '../../domain/release/contract.js';
import type { ReleaseRecord } from '../../domain/release/record.js';
import { transition } from '../../domain/release/transitions.js';
import { workflowCaller } from '../run-of.js';
import type { ReleaseDeps, ReleaseStepRef } from './release-deps.js';
import { revert } from './revert.js';

/**
 * Holds a release while a kill switch is on for its version. A rollback cannot be held: it goes back to where it was.
 */
export async function pauseForKill(
  deps: Pick<ReleaseDeps, 'advanceRelease'>,
  record: ReleaseRecord,
): Promise<ReleaseProgress> {
  const { progress, plan, releaseId, tenant } = record;
  const reason = 'a kill switch is on for this version';
  const machine = transition(progress, { type: 'PAUSE', reason: 'KILL' }, plan);
  if (machine === undefined) {
    return revert(deps, record, { cause: 'FAILED', reason, code: 'KILLED' });
  }
  return deps.advanceRelease(workflowCaller(tenant), {
    releaseId,
    expectedSeq: progress.seq,
    machine,
    reason,
    waitingOn: 'human',
    patch: { pauseDeadlineMs: progress.nowMs + plan.pauseTimeoutMs },
    word: 'paused',
  });
}

/** Rolls a paused release back once the database's clock says that nobody came. Idempotent. */
export const createExpireReleasePause =
  (deps: Pick<ReleaseDeps, 'loadRelease' | 'advanceRelease'>) =>
  async ({ tenant, releaseId, seq }: ReleaseStepRef): Promise<ReleaseProgress> => {
    const record = await deps.loadRelease(tenant, releaseId);
    const { progress } = record;
    const { pauseDeadlineMs, nowMs } = progress;
    if (progress.seq !== seq || progress.state !== 'PAUSED') return progress;
    if (pauseDeadlineMs === null || nowMs < pauseDeadlineMs) return progress;
    const reason = `nobody decided in time (${progress.reason})`;
    return revert(deps, record, { cause: 'PAUSE_TIMEOUT', reason });
  };
