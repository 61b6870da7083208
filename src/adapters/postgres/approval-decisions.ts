import { randomBytes } from 'node:crypto';
import {
  approvalWorkflowId,
  isOpen,
  type ApprovalState,
  type ApprovalSubject,
  type ApprovalView,
  type DecideApproval,
  type SignedDecision,
} from '../../domain/approval/contract.js';
import { countQuorum } from '../../domain/approval/count-quorum.js';
import { judgeApprovable, judgeDecision } from '../../domain/approval/judge-approvable.js';
import { subjectDigest } from '../../domain/approval/subject-digest.js';
import { canonicalJson } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller, Change, Outcome } from '../../domain/events/change.js';
import { DAY_MS } from '../../domain/units.js';
import { approvalSubject } from './approval-subject.js';
import { approvalView, readPayload, reportOf } from './approval-views.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import type { Approval } from './generated/client.js';

const LONGEST_WAIVER_MS = 90 * DAY_MS;

/** Signs the canonical text of a decision with the approval key. */
type Sign = (payload: string) => Promise<{ keyId: string; signature: Uint8Array }>;

/** Locks an approval that still takes a decision. The database's clock decides whether it does. */
async function lockOpen(tx: Tx, approvalId: string): Promise<Approval> {
  const [found] = await tx.$queryRaw<{ expired: boolean }[]>`
    select expires_at <= now() as expired from approval where approval_id = ${approvalId} for update`;
  if (found === undefined) throw new PlatformError('NOT_FOUND', 'There is no such approval.');
  const row = await tx.approval.findFirstOrThrow({ where: { approvalId } });
  if (row.state === 'EXPIRED' || (found.expired && isOpen(row.state as ApprovalState))) {
    throw new PlatformError('APPROVAL_EXPIRED', 'The time to decide is over.');
  }
  if (!isOpen(row.state as ApprovalState)) {
    throw new PlatformError('ALREADY_DECIDED', `The approval is ${row.state}.`, {
      extensions: { state: row.state },
    });
  }
  return row;
}

/** Requester, trainer, and the authors of contract and policy decide nothing about their own work. */
async function assertMayDecide(tx: Tx, caller: Caller, row: Approval): Promise<void> {
  const me = caller.actor.subject;
  const version = await tx.modelVersion.findFirst({
    where: { model: row.model, version: row.version },
  });
  const lineage = (version?.lineage ?? {}) as { snapshotId?: string };
  const snapshot =
    lineage.snapshotId === undefined
      ? null
      : await tx.snapshot.findFirst({ where: { snapshotId: lineage.snapshotId } });
  const contract =
    snapshot === null
      ? null
      : await tx.datasetContract.findFirst({ where: { contractId: snapshot.contractId } });
  const [name, revision] = (row.subject as unknown as ApprovalSubject).policy.split('@');
  const policy = await tx.evaluationPolicy.findFirst({
    where: { name: name ?? '', revision: Number(revision) },
  });
  const authors = [row.requestedBy, version?.trainedBy, contract?.createdBy, policy?.createdBy];
  if (authors.includes(me)) {
    throw new PlatformError(
      'SELF_APPROVAL',
      'You requested, trained or wrote a part of what is to be approved.',
    );
  }
  const before = await tx.approvalDecision.findFirst({
    where: { approvalId: row.approvalId, principalId: me },
  });
  if (before !== null)
    throw new PlatformError('ALREADY_DECIDED', 'You have decided this approval already.');
}

/** The digest that the person saw must be the approval's, and the facts must still make it. */
async function assertFresh(tx: Tx, row: Approval, seen: string): Promise<void> {
  const current = await approvalSubject(
    tx,
    row.subject as unknown as ApprovalSubject,
    row.evaluationId,
  );
  if (
    seen === row.subjectDigest &&
    current !== undefined &&
    subjectDigest(current) === row.subjectDigest
  )
    return;
  throw new PlatformError(
    'STALE_SUBJECT',
    'What you decided on is not what the approval is about.',
    {
      extensions: { subjectDigest: row.subjectDigest },
    },
  );
}

async function assertComplete(tx: Tx, row: Approval, decision: DecideApproval): Promise<void> {
  const evaluation = await tx.evaluation.findFirstOrThrow({
    where: { evaluationId: row.evaluationId },
  });
  const report = reportOf(evaluation);
  const missing = judgeDecision(decision, judgeApprovable(report.overall, report.criteria), {
    nowMs: Date.now(),
    longestWaiverMs: LONGEST_WAIVER_MS,
  });
  if (missing.refusedWaivers.length > 0 || missing.unwaived.length > 0) {
    throw new PlatformError(
      'WAIVER_NOT_ALLOWED',
      'The waivers do not match what may and must be waived.',
      {
        extensions: { refused: missing.refusedWaivers, missing: missing.unwaived },
      },
    );
  }
  if (missing.unacknowledged.length > 0) {
    throw new PlatformError(
      'ACKNOWLEDGEMENT_MISSING',
      'Skipped and inconclusive criteria must be acknowledged.',
      {
        extensions: { criteria: missing.unacknowledged },
      },
    );
  }
}

const signedPayload = (
  caller: Caller,
  row: Approval,
  decision: DecideApproval,
): SignedDecision => ({
  tenant: caller.tenant,
  approvalId: row.approvalId,
  subjectDigest: row.subjectDigest,
  decision: decision.decision,
  principalId: caller.actor.subject,
  roles: caller.actor.roles,
  reason: decision.reason,
  acknowledged: decision.acknowledged,
  waivers: decision.waivers,
  decidedAt: new Date().toISOString(),
  expiresAt: row.expiresAt.toISOString(),
  nonce: randomBytes(16).toString('hex'),
});

/** Writes the signed decision and the state that all decisions together give. */
async function recordDecision(
  tx: Tx,
  row: Approval,
  made: { caller: Caller; payload: SignedDecision; signed: Awaited<ReturnType<Sign>> },
): Promise<{ decisionId: string; state: ApprovalState }> {
  const { payload, signed, caller } = made;
  const decisionId = newId('approvalDecision');
  await tx.approvalDecision.create({
    data: {
      tenantId: caller.tenant,
      decisionId,
      approvalId: row.approvalId,
      principalId: payload.principalId,
      decision: payload.decision,
      payload: canonicalJson(payload),
      signature: Buffer.from(signed.signature),
      keyId: signed.keyId,
      nonce: payload.nonce,
      decidedAt: new Date(payload.decidedAt),
    },
  });
  const decisions = await tx.approvalDecision.findMany({ where: { approvalId: row.approvalId } });
  const state = countQuorum(decisions.map(readPayload), row.required);
  await tx.$executeRaw`update approval set state = ${state},
      closed_at = case when ${isOpen(state)} then null else now() end
    where approval_id = ${row.approvalId}`;
  return { decisionId, state };
}

async function decideApproval(
  tx: Tx,
  by: { caller: Caller; sign: Sign },
  asked: { approvalId: string; decision: DecideApproval },
): Promise<Change<ApprovalView>> {
  const { caller, sign } = by;
  const { approvalId, decision } = asked;
  const row = await lockOpen(tx, approvalId);
  await assertMayDecide(tx, caller, row);
  await assertFresh(tx, row, decision.subjectDigest);
  await assertComplete(tx, row, decision);
  const payload = signedPayload(caller, row, decision);
  const signed = await sign(canonicalJson(payload));
  const { decisionId, state } = await recordDecision(tx, row, { caller, payload, signed });
  return {
    status: 200,
    body: await approvalView(tx, approvalId),
    audit: {
      action: 'approval.decided',
      resource: { type: 'approval', id: approvalId, digest: row.subjectDigest },
      before: { state: row.state },
      after: { state, decision: decision.decision },
      reason: decision.reason,
    },
    events: [
      {
        type: 'anneal.approval.decided.v1',
        subject: approvalId,
        data: { decision: decision.decision, state },
      },
    ],
    wakes: [{ workflowId: approvalWorkflowId(caller.tenant, approvalId), factId: decisionId }],
  };
}

async function withdrawApproval(
  tx: Tx,
  caller: Caller,
  approvalId: string,
): Promise<Change<ApprovalView>> {
  const row = await lockOpen(tx, approvalId);
  if (row.requestedBy !== caller.actor.subject) {
    throw new PlatformError('FORBIDDEN', 'Only the requester withdraws a request.');
  }
  await tx.$executeRaw`update approval set state = 'WITHDRAWN', closed_at = now()
    where approval_id = ${approvalId}`;
  const workflowId = approvalWorkflowId(caller.tenant, approvalId);
  return {
    status: 200,
    body: await approvalView(tx, approvalId),
    audit: { action: 'approval.withdrawn', resource: { type: 'approval', id: approvalId } },
    wakes: [{ workflowId, factId: `${approvalId}-withdrawn` }],
  };
}

/** Deciding and withdrawing: what people do. `sign` holds the private key, which the API alone has. */
export const createApprovalDecisions = (db: Database, sign: Sign) => ({
  decide: (
    caller: Caller,
    approvalId: string,
    decision: DecideApproval,
  ): Promise<Outcome<ApprovalView>> =>
    mutate(db, caller, (tx) => decideApproval(tx, { caller, sign }, { approvalId, decision })),
  withdraw: (caller: Caller, approvalId: string): Promise<Outcome<ApprovalView>> =>
    mutate(db, caller, (tx) => withdrawApproval(tx, caller, approvalId)),
});
