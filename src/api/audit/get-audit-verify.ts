import { z } from 'zod';
import { auditVerdictSchema } from '../../domain/audit/contract.js';
import { route } from '../route.js';
import type { AuditRouteDeps } from './audit-route-deps.js';
import { chainOf, chainQuery } from './chain-of.js';

/** `GET /v1/audit:verify`: proves the chain, its leaves and its checkpoints, or names the first bad sequence. */
export const getAuditVerify = (deps: AuditRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/audit:verify',
    operation: 'audit.verify',
    summary: 'Verify the audit chain',
    description:
      'Answers 200 either way; `status` is `broken` where `fault` names the first bad sequence and its kind.',
    permission: 'audit:verify',
    query: z.strictObject(chainQuery),
    response: { status: 200, schema: auditVerdictSchema, description: 'The verdict.' },
    problems: [],
    example: {},
    handle: async ({ principal, query, signal }) => ({
      status: 200,
      body: await deps.verify(chainOf(principal, query.chain), signal()),
    }),
  });
