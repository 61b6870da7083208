import { PlatformError } from '../../domain/errors.js';
import type { ReleaseProgress } from '../../domain/release/contract.js';
import type { ReleaseRecord } from '../../domain/release/record.js';
import { judgeShadow, type ShadowVerdict } from '../../domain/release/shadow-verdict.js';
import { transition, type ReleaseEvent } from '../../domain/release/transitions.js';
import { workflowCaller } from '../run-of.js';
import { pauseForKill } from './pause.js';
import type { ReleaseDeps, ReleaseStepRef } from './release-deps.js';

type Deps = Pick<
  ReleaseDeps,
  'loadRelease' | 'advanceRelease' | 'readPointer' | 'beginShadow' | 'endShadow' | 'shadowCounts'
>;

/** Starts the shadow stage: sampled traffic from the next epoch on. Idempotent. @throws EPOCH_REFUSED, retried */
export const createBeginReleaseShadow =
  (deps: Deps) =>
  async ({ tenant, releaseId, seq }: ReleaseStepRef): Promise<ReleaseProgress> => {
    const record = await deps.loadRelease(tenant, releaseId);
    const { progress, plan } = record;
    const machine = transition(progress, { type: 'WARMED' }, plan);
    if (progress.seq !== seq || machine?.state !== 'SHADOWING') return progress;
    const { routing } = await deps.readPointer(tenant, record);
    const move = await deps.beginShadow(workflowCaller(tenant), {
      releaseId,
      expectedSeq: seq,
      expectedEpoch: routing?.epoch ?? 0,
      machine,
    });
    if (move.moved || move.progress.seq !== seq) return move.progress;
    if (move.reason === 'KILLED') return pauseForKill(deps, record);
    throw new PlatformError('EPOCH_REFUSED', 'the pointer moved while the shadow was started');
  };

/** What a verdict means for the release. */
function eventOf(verdict: ShadowVerdict, record: ReleaseRecord): ReleaseEvent | undefined {
  switch (verdict.state) {
    case 'COLLECTING':
      return undefined;
    case 'PASSED':
      return { type: 'SHADOW_PASSED' };
    case 'FAILED':
      return { type: 'REVERT', cause: 'SHADOW_FAILED' };
    case 'REVIEW':
      return { type: 'PAUSE', reason: 'SHADOW_REVIEW' };
    case 'INCONCLUSIVE':
      return record.plan.onInconclusive === 'rollback'
        ? { type: 'REVERT', cause: 'SHADOW_INCONCLUSIVE' }
        : { type: 'PAUSE', reason: 'SHADOW_INCONCLUSIVE' };
  }
}

/**
 * One tick of the shadow stage: counts by SQL, the verdict of §14.2, the step that it means. Only counts and verdict
 * leave the store. Idempotent.
 */
export const createTickReleaseShadow =
  (deps: Deps) =>
  async ({ tenant, releaseId, seq }: ReleaseStepRef): Promise<ReleaseProgress> => {
    const record = await deps.loadRelease(tenant, releaseId);
    const { progress, plan } = record;
    const { shadowId, nowMs } = progress;
    if (progress.seq !== seq || progress.state !== 'SHADOWING' || shadowId === null) {
      return progress;
    }
    if (plan.shadow === undefined) return progress;
    const counts = await deps.shadowCounts(tenant, shadowId, plan.shadow.maxLatencyRatio);
    const verdict = judgeShadow(counts, plan.shadow);
    const event = eventOf(verdict, record);
    const machine = event === undefined ? undefined : transition(progress, event, plan);
    if (event === undefined || machine === undefined) {
      return { ...progress, checks: verdict.checks };
    }
    const reason = `shadow ${verdict.state}: ${verdict.reason}`;
    const reverts = event.type === 'REVERT';
    return deps.endShadow(workflowCaller(tenant), {
      releaseId,
      expectedSeq: seq,
      machine,
      reason,
      verdict,
      patch: event.type === 'PAUSE' ? { pauseDeadlineMs: nowMs + plan.pauseTimeoutMs } : {},
      ...(reverts ? { failure: { code: 'OPERATION_FAILED', message: reason } } : {}),
    });
  };
