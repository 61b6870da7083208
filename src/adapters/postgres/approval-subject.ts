import type { ApprovalSubject } from '../../domain/approval/contract.js';
import type { EvaluationReport } from '../../domain/evaluation/evaluation-report.js';
import type { Tx } from './database.js';

/**
 * The subject of an approval recomputed from the rows as they are now.
 * @param named version, environment and plan that the approval names; shadow and card digests are read again
 * @returns undefined where the version, its evaluation or the report is gone
 */
export async function approvalSubject(
  tx: Tx,
  named: Pick<
    ApprovalSubject,
    'model' | 'version' | 'env' | 'rolloutPlanDigest' | 'contractBreak' | 'shadowReportDigest'
  >,
  evaluationId: string,
): Promise<ApprovalSubject | undefined> {
  const { model, version } = named;
  const found = await tx.modelVersion.findFirst({ where: { model, version } });
  const evaluation = await tx.evaluation.findFirst({
    where: { evaluationId, model, version, state: 'COMPLETED' },
  });
  if (found === null || evaluation?.reportDigest == null || evaluation.report === null)
    return undefined;
  const { policy } = JSON.parse(evaluation.report) as EvaluationReport;
  return {
    model,
    version,
    env: named.env,
    artifactDigest: found.artifactDigest,
    contractDigest: found.contractDigest,
    evaluationReportDigest: evaluation.reportDigest,
    shadowReportDigest: named.shadowReportDigest,
    cardDigest: null,
    policy: `${policy.name}@${policy.revision}`,
    rolloutPlanDigest: named.rolloutPlanDigest,
    contractBreak: named.contractBreak,
  };
}
