import { z } from 'zod';
import { approvalViewSchema, type ApprovalView } from '../../domain/approval/contract.js';
import { approvalIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';

export interface GetApprovalDeps {
  findApproval: (tenant: string, approvalId: string) => Promise<ApprovalView>;
}

/** `GET /v1/approvals/{id}`: state, subject digest, and who decided what. */
export const getApproval = (deps: GetApprovalDeps) =>
  route({
    method: 'get',
    path: '/v1/approvals/{id}',
    operation: 'approvals.get',
    summary: 'Read an approval',
    permission: 'approval:read',
    params: z.strictObject({ id: approvalIdSchema }),
    response: { status: 200, schema: approvalViewSchema, description: 'The approval.' },
    problems: [],
    example: { params: { id: 'apr_01KAJ4Y4G0000000000000000' } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await deps.findApproval(principal.tenant, params.id),
    }),
  });
