import type { ReleaseCheck, ReleaseProgress } from '../../domain/release/contract.js';
import { judgeErrorRate, judgeLabelAccuracy } from '../../domain/release/judge-live.js';
import type { ReleaseRecord } from '../../domain/release/record.js';
import { transition, type ReleaseEvent } from '../../domain/release/transitions.js';
import { workflowCaller } from '../run-of.js';
import type { ReleaseDeps, ReleaseStepRef } from './release-deps.js';
import { revert } from './revert.js';

type Deps = Pick<
  ReleaseDeps,
  | 'loadRelease'
  | 'advanceRelease'
  | 'noteRelease'
  | 'finishRelease'
  | 'liveCounts'
  | 'labelledDecisions'
  | 'referenceAccuracy'
  | 'predictedLabels'
>;

/** Labels are read newest first, this many at most: a tick stays bounded however long the window is. */
const LABEL_LIMIT = 5_000;

/** Notes that every process holds the promoted epoch: the clock of the verification starts. Idempotent. */
export const createNoteReleasePropagated =
  (deps: Deps) =>
  async (at: ReleaseStepRef & { laggards: string[] }): Promise<ReleaseProgress> => {
    const { tenant, releaseId, seq, laggards } = at;
    const { progress } = await deps.loadRelease(tenant, releaseId);
    if (progress.seq !== seq || progress.propagatedMs !== null) return progress;
    const patch = { propagatedMs: progress.nowMs, laggards };
    return deps.noteRelease(tenant, { releaseId, expectedSeq: seq, patch, waitingOn: 'time' });
  };

/** Goes on to the next stage, or ends the release well. */
async function pass(
  deps: Deps,
  record: ReleaseRecord,
  of: { event: ReleaseEvent; checks: ReleaseCheck[]; reason: string },
): Promise<ReleaseProgress> {
  const { tenant, releaseId, progress, plan } = record;
  const machine = transition(progress, of.event, plan);
  if (machine === undefined) return progress;
  const move = { releaseId, expectedSeq: progress.seq, machine, ...of };
  const caller = workflowCaller(tenant);
  if (machine.state === 'SUCCEEDED') return deps.finishRelease(caller, move);
  return deps.advanceRelease(caller, {
    ...move,
    waitingOn: 'labels',
    patch: { labelsSinceMs: progress.nowMs },
    word: 'verified',
  });
}

/**
 * One tick after the promotion: the error rate under the promoted epoch. A breach turns back at any tick; without one
 * the stage ends `verifyMs` + `bakeMs` after the propagation, with the verdict as it is then: no traffic stays
 * INCONCLUSIVE in the report. Idempotent.
 */
export const createTickReleaseVerification =
  (deps: Deps) =>
  async ({ tenant, releaseId, seq }: ReleaseStepRef): Promise<ReleaseProgress> => {
    const record = await deps.loadRelease(tenant, releaseId);
    const { progress, plan, env, name } = record;
    const { movedEpoch, propagatedMs, nowMs } = progress;
    if (progress.seq !== seq || progress.state !== 'VERIFYING') return progress;
    if (movedEpoch === null || propagatedMs === null) return progress;
    const counts = await deps.liveCounts(tenant, { env, name, fromEpoch: movedEpoch });
    const check = judgeErrorRate(counts, plan.maxErrorRateBp);
    if (check.verdict === 'FAIL' && record.strategy !== 'rollback') {
      const reason = `${counts.errors} of ${counts.n} requests failed`;
      return revert(deps, record, { cause: 'ERROR_RATE', reason, checks: [check] });
    }
    if (nowMs < propagatedMs + plan.verifyMs + plan.bakeMs) return { ...progress, checks: [check] };
    const reason = `verified on ${counts.n} requests`;
    return pass(deps, record, { event: { type: 'VERIFIED' }, checks: [check], reason });
  };

/** Accuracy of the promoted version by the labels that arrived. */
async function labelCheck(deps: Deps, record: ReleaseRecord): Promise<ReleaseCheck> {
  const { tenant, env, name, version, plan, progress, approvalId } = record;
  const { marginBp = 0, minLabels = 1 } = plan.primaryMetric ?? {};
  const labelled = await deps.labelledDecisions(tenant, {
    env,
    name,
    version,
    fromEpoch: progress.movedEpoch ?? 0,
    limit: LABEL_LIMIT,
  });
  const reference = approvalId === null ? null : await deps.referenceAccuracy(tenant, approvalId);
  if (reference === null) {
    const detail = 'the evaluation states no accuracy';
    return { check: 'label_error', verdict: 'INCONCLUSIVE', n: labelled.length, detail };
  }
  const ids = labelled.map(({ decisionId }) => decisionId);
  const predicted = ids.length === 0 ? {} : await deps.predictedLabels(tenant, ids);
  const judged = labelled.filter(({ decisionId }) => predicted[decisionId] !== undefined);
  const correct = judged.filter(({ decisionId, label }) => predicted[decisionId] === label).length;
  return judgeLabelAccuracy({ n: judged.length, correct }, { reference, marginBp, minLabels });
}

/** One tick of the label bake: a late breach turns back, the end of the window ends the release. Idempotent. */
export const createTickReleaseLabels =
  (deps: Deps) =>
  async ({ tenant, releaseId, seq }: ReleaseStepRef): Promise<ReleaseProgress> => {
    const record = await deps.loadRelease(tenant, releaseId);
    const { progress, plan } = record;
    const { labelsSinceMs, nowMs } = progress;
    if (progress.seq !== seq || progress.state !== 'BAKING_LABELS') return progress;
    const check = await labelCheck(deps, record);
    if (check.verdict === 'FAIL') {
      const reason = `accuracy by ${check.n ?? 0} labels is below the evaluated one`;
      return revert(deps, record, { cause: 'LABEL_ERROR', reason, checks: [check] });
    }
    const windowMs = plan.primaryMetric?.labelWindowMs ?? 0;
    if (nowMs < (labelsSinceMs ?? nowMs) + windowMs) return { ...progress, checks: [check] };
    const reason = `${check.n ?? 0} labels seen`;
    return pass(deps, record, { event: { type: 'LABELS_BAKED' }, checks: [check], reason });
  };
