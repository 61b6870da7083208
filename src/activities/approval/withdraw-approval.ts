import type { ApprovalState } from '../../domain/approval/contract.js';
import type { Caller } from '../../domain/events/change.js';
import { workflowCaller } from '../run-of.js';
import type { SettledApproval } from './settle-approval.js';

export interface WithdrawApprovalDeps {
  /** Closes an open approval as WITHDRAWN; a decided one keeps its state, which is answered. */
  withdrawOpenApproval: (caller: Caller, approvalId: string) => Promise<ApprovalState>;
  applyApproval: (caller: Caller, approvalId: string, state: ApprovalState) => Promise<void>;
}

/** A cancelled run withdraws its approval; what people decided before stays. Idempotent. */
export const createWithdrawApproval =
  (deps: WithdrawApprovalDeps) =>
  async ({
    tenant,
    approvalId,
  }: {
    tenant: string;
    approvalId: string;
  }): Promise<SettledApproval> => {
    const caller = workflowCaller(tenant);
    const state = await deps.withdrawOpenApproval(caller, approvalId);
    await deps.applyApproval(caller, approvalId, state);
    return { state, remainingMs: 0, decided: '–' };
  };
