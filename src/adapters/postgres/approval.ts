import type { AuditFacts } from '../../domain/audit/contract.js';
import {
  APPROVAL_VALIDITY_MS,
  approvalWorkflowId,
  type ApprovalState,
  type ApprovalSubject,
  type AwaitApprovalInput,
} from '../../domain/approval/contract.js';
import { subjectDigest } from '../../domain/approval/subject-digest.js';
import {
  verifyDecisions,
  type DecisionRow,
  type VerifiedDecisions,
} from '../../domain/approval/verify-decisions.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller, Change } from '../../domain/events/change.js';
import { approvalSubject } from './approval-subject.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';

type IsSigned = Parameters<typeof verifyDecisions>[2];

const decisionRows = async (tx: Tx, approvalId: string): Promise<DecisionRow[]> =>
  tx.approvalDecision.findMany({ where: { approvalId }, orderBy: { decidedAt: 'asc' } });

/** Milliseconds until the approval expires, by the database's clock. */
async function remainingMs(tx: Tx, approvalId: string): Promise<number> {
  const rows = await tx.$queryRaw<{ left: number }[]>`
    select extract(epoch from expires_at - now())::float8 * 1000 as left from approval where approval_id = ${approvalId}`;
  return Math.ceil(rows[0]?.left ?? 0);
}

/** Closes an approval that is still open; answers the state it has then. The database's clock decides an expiry. */
async function closeOpen(
  tx: Tx,
  approvalId: string,
  state: 'EXPIRED' | 'WITHDRAWN' | 'INVALIDATED',
): Promise<ApprovalState> {
  await tx.$executeRaw`update approval set state = ${state}, closed_at = now()
    where approval_id = ${approvalId} and state in ('PENDING', 'PARTIAL') and (${state} <> 'EXPIRED' or expires_at <= now())`;
  const row = await tx.approval.findFirstOrThrow({
    where: { approvalId },
    select: { state: true },
  });
  return row.state as ApprovalState;
}

const about = (approvalId: string, action: string, more: Partial<AuditFacts> = {}): AuditFacts => ({
  action,
  resource: { type: 'approval', id: approvalId },
  ...more,
});

const changed = (state: ApprovalState, audit: AuditFacts): Change<ApprovalState> => ({
  status: 200,
  body: state,
  audit,
});

/** Which assurance a closed approval gives its version; undefined where the version may be asked about again. */
const assuranceOf = (state: ApprovalState): string =>
  (({ APPROVED: 'APPROVED', REJECTED: 'REJECTED', EXPIRED: 'EXPIRED' }) as Record<string, string>)[
    state
  ] ?? 'EVALUATED';

/** What workers need of approvals: the signed facts, and the consequences of what they say. */
export const createApprovalFacts = (db: Database, isSigned: IsSigned) => ({
  readApproval: (tenant: string, approvalId: string) =>
    db.withTenant(tenant, async (tx) => {
      // A decision being written holds this row: without the lock we could see its signed row and not yet its state.
      await tx.$queryRaw`select 1 from approval where approval_id = ${approvalId} for share`;
      const row = await tx.approval.findFirst({ where: { approvalId } });
      if (row === null) return undefined;
      const current = await approvalSubject(
        tx,
        row.subject as unknown as ApprovalSubject,
        row.evaluationId,
      );
      return {
        state: row.state as ApprovalState,
        required: row.required,
        subjectDigest: row.subjectDigest,
        currentDigest: current === undefined ? undefined : subjectDigest(current),
        remainingMs: await remainingMs(tx, approvalId),
        decisions: await decisionRows(tx, approvalId),
      };
    }),

  expireApproval: async (caller: Caller, approvalId: string): Promise<ApprovalState> =>
    (
      await mutate(db, caller, async (tx) => {
        const state = await closeOpen(tx, approvalId, 'EXPIRED');
        return changed(state, about(approvalId, 'approval.expiry_checked', { after: { state } }));
      })
    ).body,

  invalidateApproval: async (caller: Caller, approvalId: string, reason: string): Promise<void> => {
    await mutate(db, caller, async (tx) => {
      await tx.$executeRaw`update approval set state = 'INVALIDATED', closed_at = coalesce(closed_at, now())
        where approval_id = ${approvalId}`;
      return changed('INVALIDATED', about(approvalId, 'approval.invalidated', { reason }));
    });
  },

  withdrawOpenApproval: async (caller: Caller, approvalId: string): Promise<ApprovalState> =>
    (
      await mutate(db, caller, async (tx) => {
        const state = await closeOpen(tx, approvalId, 'WITHDRAWN');
        return changed(state, about(approvalId, 'approval.withdrawn', { after: { state } }));
      })
    ).body,

  applyApproval: (caller: Caller, approvalId: string, state: ApprovalState): Promise<void> =>
    applyApproval(db, caller, { approvalId, state }),

  recordReminder: async (
    caller: Caller,
    reminder: { approvalId: string; elapsedShareBp: number },
  ): Promise<void> => {
    await mutate(db, caller, async () => ({
      status: 200,
      body: {},
      audit: about(reminder.approvalId, 'approval.reminded', {
        after: { elapsedShareBp: reminder.elapsedShareBp },
      }),
      events: [
        {
          type: 'anneal.approval.reminded.v1',
          subject: reminder.approvalId,
          data: { ...reminder },
        },
      ],
    }));
  },

  /**
   * What a release asks before any effect: row, signatures, distinct people, digest of the facts as they are now, and
   * that the approval has not lapsed.
   */
  verifyApproval: (
    tenant: string,
    asked: { approvalId: string; model: string; version: number; env: string; planDigest: string },
  ) => db.withTenant(tenant, (tx) => verifyInside(tx, { tenant, ...asked }, isSigned)),
});

/** The signed facts behind a release, or the code that refuses it. */
export type ApprovalVerification =
  | {
      ok: true;
      subjectDigest: string;
      nonces: string[];
      approvers: string[];
      contractBreak: boolean;
    }
  | { ok: false; code: 'APPROVAL_INVALID' | 'PLAN_CHANGED'; reason: string };

async function verifyInside(
  tx: Tx,
  asked: {
    tenant: string;
    approvalId: string;
    model: string;
    version: number;
    env: string;
    planDigest: string;
  },
  isSigned: IsSigned,
): Promise<ApprovalVerification> {
  const refuse = (reason: string): ApprovalVerification => ({
    ok: false,
    code: 'APPROVAL_INVALID',
    reason,
  });
  const row = await tx.approval.findFirst({ where: { approvalId: asked.approvalId } });
  if (row === null) return refuse('there is no such approval');
  if (row.model !== asked.model || row.version !== asked.version || row.env !== asked.env) {
    return refuse('the approval is for another version or environment');
  }
  if (row.state !== 'APPROVED' || row.closedAt === null)
    return refuse(`the approval is ${row.state}`);
  const [age] = await tx.$queryRaw<{ age: number }[]>`
    select extract(epoch from now() - ${row.closedAt}::timestamptz)::float8 * 1000 as age`;
  if ((age?.age ?? Infinity) > APPROVAL_VALIDITY_MS)
    return refuse('the approval lapsed 30 days after it was given');
  const subject = row.subject as unknown as ApprovalSubject;
  if (subject.rolloutPlanDigest !== asked.planDigest) {
    return { ok: false, code: 'PLAN_CHANGED', reason: 'the plan is not the one that was approved' };
  }
  const current = await approvalSubject(tx, subject, row.evaluationId);
  if (current === undefined || subjectDigest(current) !== row.subjectDigest) {
    return refuse('a part of what was approved has changed');
  }
  const verified: VerifiedDecisions = await verifyDecisions(
    await decisionRows(tx, asked.approvalId),
    { ...asked, subjectDigest: row.subjectDigest, required: row.required },
    isSigned,
  );
  if (!verified.ok) return refuse(verified.reason);
  if (verified.state !== 'APPROVED') return refuse(`the signed decisions say ${verified.state}`);
  const approvers = [...new Set(verified.decisions.map(({ principalId }) => principalId))];
  const nonces = verified.decisions.map(({ nonce }) => nonce);
  return {
    ok: true,
    subjectDigest: row.subjectDigest,
    nonces,
    approvers,
    contractBreak: row.contractBreak,
  };
}

async function applyApproval(
  db: Database,
  caller: Caller,
  closed: { approvalId: string; state: ApprovalState },
): Promise<void> {
  await mutate(db, caller, async (tx) => {
    const row = await tx.approval.findFirst({ where: { approvalId: closed.approvalId } });
    if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such approval.');
    await tx.modelVersion.updateMany({
      where: { model: row.model, version: row.version, assurance: 'PENDING_APPROVAL' },
      data: { assurance: assuranceOf(closed.state), updatedAt: new Date() },
    });
    return {
      ...changed(
        closed.state,
        about(closed.approvalId, 'approval.applied', { after: { state: closed.state } }),
      ),
      events: [
        {
          type: `anneal.approval.${closed.state.toLowerCase()}.v1`,
          subject: closed.approvalId,
          data: {
            model: row.model,
            version: row.version,
            env: row.env,
            subjectDigest: row.subjectDigest,
          },
        },
      ],
    };
  });
}

/** The start of `awaitApproval` for a request that was just written. */
export const approvalStart = (input: AwaitApprovalInput, riskClass: string) => ({
  workflowId: approvalWorkflowId(input.tenant, input.approvalId),
  workflowType: 'awaitApproval',
  taskQueue: 'orchestration' as const,
  input: { ...input },
  options: {
    summary: `${input.model} v${input.version} → ${input.env}: approval`,
    searchAttributes: {
      Target: input.model,
      Version: `v${input.version}`,
      RiskClass: riskClass,
      Phase: 'PENDING',
      WaitingOn: 'approver',
    },
    priorityKey: 3 as const,
  },
  startedBy: 'api' as const,
});
