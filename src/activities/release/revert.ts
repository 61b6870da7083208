import type { ErrorCode } from '../../domain/errors.js';
import type { ReleaseProgress, RevertCause } from '../../domain/release/contract.js';
import type { ReleaseRecord } from '../../domain/release/record.js';
import { transition } from '../../domain/release/transitions.js';
import { workflowCaller } from '../run-of.js';
import type { ReleaseDeps, RevertRequest } from './release-deps.js';

const codes: Record<RevertCause, ErrorCode> = {
  PREFLIGHT_FAILED: 'OPERATION_FAILED',
  WARMING_FAILED: 'PROPAGATION_TIMEOUT',
  SHADOW_FAILED: 'OPERATION_FAILED',
  SHADOW_INCONCLUSIVE: 'OPERATION_FAILED',
  NOT_READY: 'PROPAGATION_TIMEOUT',
  APPROVAL_INVALID: 'APPROVAL_INVALID',
  PROPAGATION_TIMEOUT: 'PROPAGATION_TIMEOUT',
  ERROR_RATE: 'OPERATION_FAILED',
  LABEL_ERROR: 'OPERATION_FAILED',
  PAUSE_TIMEOUT: 'DEADLINE_EXCEEDED',
  CANCELLED: 'OPERATION_FAILED',
  ABORTED: 'OPERATION_FAILED',
  SUPERSEDED: 'OPERATION_FAILED',
  FAILED: 'OPERATION_FAILED',
};

/**
 * Turns a release back: ROLLING_BACK with its cause. Where that is not legal (it has ended, or is a rollback that has
 * moved the pointer) the release stays as it is.
 * @param code the failure's code where the cause alone does not say it
 */
export async function revert(
  deps: Pick<ReleaseDeps, 'advanceRelease'>,
  record: ReleaseRecord,
  request: RevertRequest & { code?: ErrorCode },
): Promise<ReleaseProgress> {
  const { progress, plan, releaseId, tenant } = record;
  const { cause, reason, checks = [], laggards } = request;
  const machine = transition(progress, { type: 'REVERT', cause }, plan);
  if (machine === undefined) return progress;
  return deps.advanceRelease(workflowCaller(tenant), {
    releaseId,
    expectedSeq: progress.seq,
    machine,
    reason,
    checks,
    failure: { code: request.code ?? codes[cause], message: reason },
    ...(laggards === undefined ? {} : { patch: { laggards } }),
    word: 'stopped',
  });
}
