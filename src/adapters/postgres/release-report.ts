import type { ReleaseCheck, ReleaseState } from '../../domain/release/contract.js';
import type { ReleaseRecord } from '../../domain/release/record.js';
import type { ReleaseReport, ReportStep } from '../../domain/release/report.js';
import type { Pointers } from '../../domain/release/routing.js';
import type { Tx } from './database.js';

/** The steps of a release, in order. */
async function readSteps(
  tx: Tx,
  key: { tenant: string; releaseId: string },
): Promise<ReportStep[]> {
  const rows = await tx.releaseStep.findMany({
    where: { tenantId: key.tenant, releaseId: key.releaseId },
    orderBy: { seq: 'asc' },
  });
  return rows.map((row) => ({
    seq: row.seq,
    state: row.state as ReleaseState,
    epoch: row.epoch,
    reason: row.reason,
    actor: row.actor,
    checks: row.checks as unknown as ReleaseCheck[],
    at: row.at.toISOString(),
  }));
}

/** The report of a release as it stands: what happened, which epochs it made, and what every check measured. */
export async function buildReport(tx: Tx, record: ReleaseRecord): Promise<ReleaseReport> {
  const { tenant, releaseId, env, kind, name, progress } = record;
  const [steps, epochs, shadow] = [
    await readSteps(tx, { tenant, releaseId }),
    await tx.routingHistory.findMany({
      where: { tenantId: tenant, releaseId, env, kind, name },
      orderBy: { epoch: 'asc' },
    }),
    await tx.shadow.findFirst({ where: { tenantId: tenant, releaseId } }),
  ];
  return {
    format: 'anneal.release.v1',
    releaseId,
    target: { env, kind, name },
    version: record.version,
    approvalId: record.approvalId,
    plan: record.plan,
    planDigest: record.planDigest,
    outcome: progress.state,
    cause: progress.cause,
    laggards: progress.laggards,
    shadow:
      shadow === null
        ? null
        : { shadowId: shadow.shadowId, state: shadow.state, verdict: shadow.verdict },
    epochs: epochs.map((row) => {
      const {
        active,
        previous,
        arms,
        shadow: captures,
        move,
      } = row.document as unknown as Pointers & {
        move: string;
      };
      return {
        epoch: row.epoch,
        active,
        previous,
        arms,
        shadow: captures,
        move,
        at: row.at.toISOString(),
      };
    }),
    steps,
  };
}
