import type { Route } from '../route.js';
import { getApproval, type GetApprovalDeps } from './get-approval.js';
import { getApprovals, type GetApprovalsDeps } from './get-approvals.js';
import { postApprovalDecide, type PostApprovalDecideDeps } from './post-approval-decide.js';
import { postApprovalRequests, type PostApprovalRequestsDeps } from './post-approval-requests.js';
import { postApprovalWithdraw, type PostApprovalWithdrawDeps } from './post-approval-withdraw.js';

/** What the endpoints of `approval` ask for. */
export type ApprovalRouteDeps = PostApprovalRequestsDeps &
  PostApprovalDecideDeps &
  PostApprovalWithdrawDeps &
  GetApprovalDeps &
  GetApprovalsDeps;

/** The endpoints of `approval`. */
export const approvalRoutes = (deps: ApprovalRouteDeps): Route[] => [
  postApprovalRequests(deps),
  getApprovals(deps),
  getApproval(deps),
  postApprovalDecide(deps),
  postApprovalWithdraw(deps),
];
