import type {
  ApprovalState,
  ApprovalSubject,
  ApprovalView,
  SignedDecision,
} from '../../domain/approval/contract.js';
import { judgeApprovable } from '../../domain/approval/judge-approvable.js';
import { PlatformError } from '../../domain/errors.js';
import type { EvaluationReport } from '../../domain/evaluation/evaluation-report.js';
import type { Env } from '../../domain/ids.js';
import type { Database, Tx } from './database.js';
import type { ApprovalDecision, Evaluation } from './generated/client.js';

/** The report of a completed evaluation. @throws NOT_APPROVABLE where there is none */
export const reportOf = (evaluation: Evaluation): EvaluationReport => {
  if (evaluation.report === null || evaluation.state !== 'COMPLETED') {
    throw new PlatformError('NOT_APPROVABLE', 'The evaluation is not completed.', {
      extensions: { criteria: [] },
    });
  }
  return JSON.parse(evaluation.report) as EvaluationReport;
};

/** What a person signed, as the row holds it. */
export const readPayload = (row: ApprovalDecision): SignedDecision =>
  JSON.parse(row.payload) as SignedDecision;

/** An approval with its decisions, as the API shows it. @throws NOT_FOUND */
export async function approvalView(tx: Tx, approvalId: string): Promise<ApprovalView> {
  const row = await tx.approval.findFirst({ where: { approvalId } });
  if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such approval.');
  const decisions = await tx.approvalDecision.findMany({
    where: { approvalId },
    orderBy: { decidedAt: 'asc' },
  });
  const evaluation = await tx.evaluation.findFirstOrThrow({
    where: { evaluationId: row.evaluationId },
  });
  const report = reportOf(evaluation);
  return {
    id: row.approvalId,
    model: row.model,
    version: row.version,
    env: row.env as Env,
    evaluationId: row.evaluationId,
    state: row.state as ApprovalState,
    subject: row.subject as unknown as ApprovalSubject,
    subjectDigest: row.subjectDigest,
    rolloutPlan: row.rolloutPlan as Record<string, unknown>,
    required: row.required,
    toAcknowledge: judgeApprovable(report.overall, report.criteria).toAcknowledge,
    comment: row.comment,
    requestedBy: row.requestedBy,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
    closedAt: row.closedAt?.toISOString() ?? null,
    decisions: decisions
      .map(readPayload)
      .map(({ principalId, decision, roles, reason, acknowledged, waivers, decidedAt }) => ({
        principalId,
        decision,
        roles,
        reason,
        acknowledged,
        waivers,
        decidedAt,
      })),
  };
}

/** Reads of approvals. */
export const createApprovalViews = (db: Database) => ({
  find: (tenant: string, approvalId: string): Promise<ApprovalView> =>
    db.withTenant(tenant, (tx) => approvalView(tx, approvalId)),

  list: (
    tenant: string,
    filter: { state?: string; model?: string },
    page: { limit: number; after: string | undefined },
  ): Promise<ApprovalView[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.approval.findMany({
        where: {
          ...filter,
          ...(page.after === undefined ? {} : { approvalId: { lt: page.after } }),
        },
        orderBy: { approvalId: 'desc' },
        take: page.limit + 1,
        select: { approvalId: true },
      });
      const found: ApprovalView[] = [];
      for (const row of rows) found.push(await approvalView(tx, row.approvalId));
      return found;
    }),
});
