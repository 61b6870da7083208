import { PlatformError } from '../../domain/errors.js';
import type { ReleaseProgress } from '../../domain/release/contract.js';
import { frozenUntil } from '../../domain/release/frozen-until.js';
import type { PointerMove, ReleaseRecord } from '../../domain/release/record.js';
import { transition } from '../../domain/release/transitions.js';
import { workflowCaller } from '../run-of.js';
import { pauseForKill } from './pause.js';
import type { ApprovalAnswer, ReleaseDeps, ReleaseStepRef } from './release-deps.js';
import { revert } from './revert.js';

type Deps = Pick<
  ReleaseDeps,
  'loadRelease' | 'advanceRelease' | 'readPointer' | 'verifyApproval' | 'promoteVersion'
>;

/** Leaves WARMING for the promotion where no shadow comes first. Idempotent. */
export const createClearRelease =
  (deps: Pick<ReleaseDeps, 'loadRelease' | 'advanceRelease'>) =>
  async ({ tenant, releaseId, seq }: ReleaseStepRef): Promise<ReleaseProgress> => {
    const { progress, plan } = await deps.loadRelease(tenant, releaseId);
    const machine = transition(progress, { type: 'WARMED' }, plan);
    if (progress.seq !== seq || machine?.state !== 'PROMOTING') return progress;
    return deps.advanceRelease(workflowCaller(tenant), {
      releaseId,
      expectedSeq: seq,
      machine,
      reason: 'loaded and probed',
      word: 'warmed',
    });
  };

/** The signed facts, verified right before they are used; a rollback needs none. */
async function approvalNow(
  deps: Deps,
  record: ReleaseRecord,
): Promise<ApprovalAnswer & { approvalId?: string }> {
  const { tenant, approvalId, name, version, env, planDigest } = record;
  if (record.strategy === 'rollback') return { ok: true, nonces: [], approvers: [] };
  if (approvalId === null) return { ok: false, code: 'APPROVAL_INVALID', reason: 'no approval' };
  const asked = { approvalId, model: name, version, env, planDigest };
  return { ...(await deps.verifyApproval(tenant, asked)), approvalId };
}

/** Waits out a freeze: the state stays, the end of the freeze is on the row. */
async function hold(deps: Deps, record: ReleaseRecord, untilMs: number): Promise<ReleaseProgress> {
  const { progress, releaseId, tenant } = record;
  if (progress.frozenUntilMs === untilMs) return progress;
  return deps.advanceRelease(workflowCaller(tenant), {
    releaseId,
    expectedSeq: progress.seq,
    machine: progress,
    reason: `frozen until ${new Date(untilMs).toISOString()}`,
    waitingOn: 'freeze',
    patch: { frozenUntilMs: untilMs },
    word: 'frozen',
  });
}

async function moved(
  deps: Deps,
  record: ReleaseRecord,
  approval: { approvalId: string; nonces: string[] } | null,
): Promise<PointerMove> {
  const { tenant, releaseId, progress, plan } = record;
  const { routing } = await deps.readPointer(tenant, record);
  const machine = transition(progress, { type: 'PROMOTED' }, plan);
  if (machine === undefined) return { moved: false, reason: 'STALE_EPOCH', progress };
  return deps.promoteVersion(workflowCaller(tenant), {
    releaseId,
    expectedSeq: progress.seq,
    expectedEpoch: routing?.epoch ?? 0,
    machine,
    approval,
  });
}

/**
 * Gives the version all traffic. A freeze holds it, a kill pauses it, an approval that no longer verifies turns it
 * back; the pointer itself moves by compare-and-swap with the nonces in one transaction. Idempotent by the step.
 * @throws EPOCH_REFUSED where the pointer moved under it; retried
 */
export const createPromoteRelease =
  (deps: Deps) =>
  async ({ tenant, releaseId, seq }: ReleaseStepRef): Promise<ReleaseProgress> => {
    const record = await deps.loadRelease(tenant, releaseId);
    const { progress, plan } = record;
    if (progress.seq !== seq || progress.state !== 'PROMOTING') return progress;
    const untilMs = frozenUntil(plan.freezeWindows, progress.nowMs);
    if (untilMs !== null && record.strategy !== 'rollback') return hold(deps, record, untilMs);
    const approval = await approvalNow(deps, record);
    const refused = (reason: string) => revert(deps, record, { cause: 'APPROVAL_INVALID', reason });
    if (!approval.ok) return refused(`${approval.code}: ${approval.reason}`);
    const { approvalId, nonces } = approval;
    const used = approvalId === undefined ? null : { approvalId, nonces };
    try {
      const move = await moved(deps, record, used);
      if (move.moved || move.progress.seq !== seq) return move.progress;
      if (move.reason === 'KILLED') return await pauseForKill(deps, record);
      if (move.reason === 'WITHDRAWN') {
        const reason = 'the version was withdrawn';
        return await revert(deps, record, {
          cause: 'FAILED',
          reason,
          code: 'VERSION_NOT_RELEASABLE',
        });
      }
    } catch (error) {
      if (!(error instanceof PlatformError) || error.code !== 'APPROVAL_INVALID') throw error;
      return refused(error.message);
    }
    throw new PlatformError('EPOCH_REFUSED', 'the pointer moved while the version was promoted');
  };
