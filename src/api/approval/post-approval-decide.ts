import { z } from 'zod';
import {
  approvalViewSchema,
  decideApprovalSchema,
  type ApprovalView,
  type DecideApproval,
} from '../../domain/approval/contract.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import { approvalIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';

export interface PostApprovalDecideDeps {
  decideApproval: (
    caller: Caller,
    approvalId: string,
    decision: DecideApproval,
  ) => Promise<Outcome<ApprovalView>>;
}

/** `POST /v1/approvals/{id}:decide`: one person's signed decision on exactly the digest that they name. */
export const postApprovalDecide = (deps: PostApprovalDecideDeps) =>
  route({
    method: 'post',
    path: '/v1/approvals/{id}:decide',
    operation: 'approvals.decide',
    summary: 'Decide an approval',
    description:
      'Requester, trainer and authors of contract or policy cannot decide. The decision is signed.',
    permission: 'approval:decide',
    params: z.strictObject({ id: approvalIdSchema }),
    body: decideApprovalSchema,
    response: { status: 200, schema: approvalViewSchema, description: 'The approval afterwards.' },
    problems: [
      'SELF_APPROVAL',
      'STALE_SUBJECT',
      'ALREADY_DECIDED',
      'APPROVAL_EXPIRED',
      'ACKNOWLEDGEMENT_MISSING',
      'WAIVER_NOT_ALLOWED',
    ],
    example: {
      params: { id: 'apr_01KAJ4Y4G0000000000000000' },
      body: {
        decision: 'approve',
        subjectDigest: `sha256:${'0'.repeat(64)}`,
        reason: 'Metrics hold and the plan is careful.',
        acknowledged: ['accuracy-vs-champion'],
      },
    },
    handle: ({ caller, params, body }) => deps.decideApproval(caller, params.id, body),
  });
