import type { ErrorCode } from '../../domain/errors.js';
import type { ReleaseProgress } from '../../domain/release/contract.js';
import { transition } from '../../domain/release/transitions.js';
import { workflowCaller } from '../run-of.js';
import type { ReleaseDeps, ReleaseStepRef, RevertRequest } from './release-deps.js';
import { revert } from './revert.js';

type Deps = Pick<
  ReleaseDeps,
  'loadRelease' | 'advanceRelease' | 'restoreRouting' | 'finishRelease'
>;

/** The release as Postgres has it, with the database's time. */
export const createLoadReleaseProgress =
  (deps: Deps) =>
  async (of: { tenant: string; releaseId: string }): Promise<ReleaseProgress> =>
    (await deps.loadRelease(of.tenant, of.releaseId)).progress;

/** Turns a release back because its workflow says so: a timeout, a cancel, a failure of its own. Idempotent. */
export const createRevertRelease =
  (deps: Deps) =>
  async (
    asked: ReleaseStepRef & RevertRequest & { code?: ErrorCode },
  ): Promise<ReleaseProgress> => {
    const record = await deps.loadRelease(asked.tenant, asked.releaseId);
    if (record.progress.seq !== asked.seq) return record.progress;
    return revert(deps, record, asked);
  };

/** Restores what was live before, by an epoch more. Idempotent: where it was done, nothing moves. */
export const createRestoreRelease =
  (deps: Deps) =>
  async ({ tenant, releaseId, seq }: ReleaseStepRef): Promise<ReleaseProgress> => {
    const { progress } = await deps.loadRelease(tenant, releaseId);
    const { state, restoredEpoch } = progress;
    if (progress.seq !== seq || state !== 'ROLLING_BACK' || restoredEpoch !== null) return progress;
    const caller = workflowCaller(tenant);
    return deps.restoreRouting(caller, { releaseId, expectedSeq: seq, machine: progress });
  };

/** Ends a release that has been turned back; processes that do not hold the restored epoch yet are named. Idempotent. */
export const createEndRelease =
  (deps: Deps) =>
  async (at: ReleaseStepRef & { laggards: string[] }): Promise<ReleaseProgress> => {
    const { tenant, releaseId, seq, laggards } = at;
    const { progress, plan } = await deps.loadRelease(tenant, releaseId);
    const machine = transition(progress, { type: 'REVERTED' }, plan);
    if (progress.seq !== seq || machine === undefined) return progress;
    return deps.finishRelease(workflowCaller(tenant), {
      releaseId,
      expectedSeq: seq,
      machine,
      reason: progress.reason,
      checks: [],
      ...(laggards.length > 0 ? { laggards } : {}),
    });
  };
