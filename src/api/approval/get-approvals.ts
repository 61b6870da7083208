import { z } from 'zod';
import {
  approvalStates,
  approvalViewSchema,
  type ApprovalView,
} from '../../domain/approval/contract.js';
import { approvalIdSchema, nameSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage, type Page } from '../paging.js';
import { route } from '../route.js';

export interface GetApprovalsDeps {
  listApprovals: (
    tenant: string,
    filter: { state?: string; model?: string },
    page: Page,
  ) => Promise<ApprovalView[]>;
}

/** `GET /v1/approvals`: newest first; approvers filter by `state=PENDING`. */
export const getApprovals = (deps: GetApprovalsDeps) =>
  route({
    method: 'get',
    path: '/v1/approvals',
    operation: 'approvals.list',
    summary: 'List approvals',
    permission: 'approval:read',
    query: z.strictObject({
      state: z.enum(approvalStates).optional(),
      model: nameSchema.optional(),
      ...pageQuery,
    }),
    response: { status: 200, schema: pageOf(approvalViewSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { state: 'PENDING' } },
    handle: async ({ principal, query }) => {
      const filter = {
        ...(query.state === undefined ? {} : { state: query.state }),
        ...(query.model === undefined ? {} : { model: query.model }),
      };
      const page = readPage(query, filter, approvalIdSchema);
      const found = await deps.listApprovals(principal.tenant, filter, page);
      return { status: 200, body: writePage(found, page, { filter, keyOf: (item) => item.id }) };
    },
  });
