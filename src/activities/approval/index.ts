import { createRemindApprovers, type RemindApproversDeps } from './remind-approvers.js';
import { createSettleApproval, type SettleApprovalDeps } from './settle-approval.js';
import { createWithdrawApproval, type WithdrawApprovalDeps } from './withdraw-approval.js';

/** What the activities of `approval` ask for. */
export type ApprovalDeps = SettleApprovalDeps & RemindApproversDeps & WithdrawApprovalDeps;

/** Activities of `approval`: look at the signed facts, remind, withdraw. */
export const createApprovalActivities = (deps: ApprovalDeps) => ({
  settleApproval: createSettleApproval(deps),
  remindApprovers: createRemindApprovers(deps),
  withdrawApproval: createWithdrawApproval(deps),
});
