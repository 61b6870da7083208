import type { CriterionResult } from '../evaluation/evaluation-report.js';
import type { Verdict } from '../verdict.js';
import type { DecideApproval } from './contract.js';

type Judged = Pick<CriterionResult, 'id' | 'verdict' | 'severity' | 'onInconclusive' | 'waivable'>;

/** What an evaluation says about asking for an approval. */
export interface Approvable {
  /** Criteria that stand in the way whatever an approver says. */
  blocking: { id: string; verdict: string }[];
  /** Skipped and inconclusive criteria that every approver must name. */
  toAcknowledge: string[];
  /** Failed criteria that a waiver may lift. */
  toWaive: string[];
}

/**
 * PASS, or INCONCLUSIVE where every inconclusive criterion says `review`; ERROR never; FAIL only where each failed
 * criterion is waivable (lifecycle.md §7).
 */
export function judgeApprovable(overall: Verdict, criteria: Judged[]): Approvable {
  const blocks = criteria.filter(({ severity }) => severity === 'block');
  const blocking = blocks.filter(
    ({ verdict, onInconclusive, waivable }) =>
      verdict === 'ERROR' ||
      (verdict === 'FAIL' && !waivable) ||
      (verdict === 'INCONCLUSIVE' && onInconclusive !== 'review'),
  );
  // A report whose overall verdict is ERROR without a criterion to show for it is not approvable either.
  const unexplained =
    overall === 'ERROR' && blocking.length === 0 ? [{ id: 'overall', verdict: 'ERROR' }] : [];
  return {
    blocking: [...blocking.map(({ id, verdict }) => ({ id, verdict })), ...unexplained],
    toAcknowledge: criteria
      .filter(
        ({ verdict, severity }) =>
          verdict === 'SKIPPED' || (verdict === 'INCONCLUSIVE' && severity === 'block'),
      )
      .map(({ id }) => id),
    toWaive: blocks
      .filter(({ verdict, waivable }) => verdict === 'FAIL' && waivable)
      .map(({ id }) => id),
  };
}

/** What is missing in an approving decision: criteria not acknowledged, failures not waived, waivers not allowed. */
export function judgeDecision(
  decision: Pick<DecideApproval, 'decision' | 'acknowledged' | 'waivers'>,
  approvable: Approvable,
  at: { nowMs: number; longestWaiverMs: number },
): { unacknowledged: string[]; unwaived: string[]; refusedWaivers: string[] } {
  const waived = decision.waivers.map(({ criterionId }) => criterionId);
  const approves = decision.decision === 'approve';
  const tooLong = (expiresAt: string): boolean => {
    const left = Date.parse(expiresAt) - at.nowMs;
    return left <= 0 || left > at.longestWaiverMs;
  };
  return {
    unacknowledged: approves
      ? approvable.toAcknowledge.filter((id) => !decision.acknowledged.includes(id))
      : [],
    unwaived: approves ? approvable.toWaive.filter((id) => !waived.includes(id)) : [],
    refusedWaivers: decision.waivers
      .filter(
        ({ criterionId, expiresAt }) =>
          !approvable.toWaive.includes(criterionId) || tooLong(expiresAt),
      )
      .map(({ criterionId }) => criterionId),
  };
}
