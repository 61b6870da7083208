import { z } from 'zod';
import { approvalViewSchema, type ApprovalView } from '../../domain/approval/contract.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import { approvalIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';

export interface PostApprovalWithdrawDeps {
  withdrawApproval: (caller: Caller, approvalId: string) => Promise<Outcome<ApprovalView>>;
}

/** `POST /v1/approvals/{id}:withdraw`: the requester takes an open request back. */
export const postApprovalWithdraw = (deps: PostApprovalWithdrawDeps) =>
  route({
    method: 'post',
    path: '/v1/approvals/{id}:withdraw',
    operation: 'approvals.withdraw',
    summary: 'Withdraw an approval request',
    permission: 'approval:request',
    params: z.strictObject({ id: approvalIdSchema }),
    body: z.strictObject({}),
    response: { status: 200, schema: approvalViewSchema, description: 'The approval afterwards.' },
    problems: ['ALREADY_DECIDED', 'APPROVAL_EXPIRED'],
    example: { params: { id: 'apr_01KAJ4Y4G0000000000000000' }, body: {} },
    handle: ({ caller, params }) => deps.withdrawApproval(caller, params.id),
  });
