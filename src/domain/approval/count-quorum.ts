import type { ApprovalState, SignedDecision } from './contract.js';

/**
 * Where the decisions so far leave an approval: one refusal ends it, and approvals count once per person.
 * @param required distinct people who must approve, 1 or 2
 */
export function countQuorum(
  decisions: Pick<SignedDecision, 'decision' | 'principalId'>[],
  required: number,
): Extract<ApprovalState, 'PENDING' | 'PARTIAL' | 'APPROVED' | 'REJECTED' | 'CHANGES_REQUESTED'> {
  if (decisions.some(({ decision }) => decision === 'reject')) return 'REJECTED';
  if (decisions.some(({ decision }) => decision === 'request_changes')) return 'CHANGES_REQUESTED';
  const people = new Set(decisions.map(({ principalId }) => principalId));
  if (people.size >= required) return 'APPROVED';
  return people.size > 0 ? 'PARTIAL' : 'PENDING';
}
