import {
  DEFAULT_REMINDER_BP,
  type ApprovalSubject,
  type RequestApproval,
} from '../../domain/approval/contract.js';
import { judgeApprovable, type Approvable } from '../../domain/approval/judge-approvable.js';
import { subjectDigest } from '../../domain/approval/subject-digest.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller, Change, Outcome, StartedFacts } from '../../domain/events/change.js';
import { approvalStart } from './approval.js';
import { approvalSubject } from './approval-subject.js';
import { reportOf } from './approval-views.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import type { Prisma } from './generated/client.js';

/** A request whose plan the release contract has parsed and digested. */
export interface ParsedApprovalRequest extends RequestApproval {
  model: string;
  version: number;
  planDigest: string;
  /** The plan has a shadow stage of its own. */
  hasShadowStage: boolean;
}

async function versionOf(tx: Tx, request: { model: string; version: number }) {
  const version = await tx.modelVersion.findFirst({ where: request });
  const model = await tx.registeredModel.findFirst({ where: { name: request.model } });
  if (version === null || model === null)
    throw new PlatformError('NOT_FOUND', 'There is no such version.');
  return { version, riskClass: model.riskClass };
}

/** For medium and high risk with a champion, a shadow must have passed or be the plan's first stage. */
async function assertShadowed(
  tx: Tx,
  request: ParsedApprovalRequest,
  riskClass: string,
): Promise<void> {
  if (riskClass === 'low' || request.hasShadowStage) return;
  const routing = await tx.routing.findFirst({
    where: { env: request.env, kind: 'model', name: request.model },
  });
  if (routing?.active == null) return;
  const shadow =
    request.shadowId === undefined
      ? null
      : await tx.shadow.findFirst({
          where: {
            shadowId: request.shadowId,
            model: request.model,
            version: request.version,
            env: request.env,
          },
        });
  if (shadow?.state !== 'PASSED') {
    throw new PlatformError(
      'NOT_APPROVABLE',
      'A passed shadow, or a shadow stage in the plan, is needed at this risk.',
      {
        extensions: { criteria: ['shadow'] },
      },
    );
  }
}

function assertApprovable(approvable: Approvable): void {
  if (approvable.blocking.length === 0) return;
  throw new PlatformError('NOT_APPROVABLE', 'The evaluation does not allow an approval.', {
    extensions: { criteria: approvable.blocking },
  });
}

/** The subject and the approvability of what is asked for; refuses what cannot be approved. */
async function readyToAsk(tx: Tx, request: ParsedApprovalRequest) {
  const { model, version } = request;
  const found = await versionOf(tx, { model, version });
  if (['QUARANTINED', 'RETIRED', 'ERASED'].includes(found.version.assurance)) {
    throw new PlatformError('VERSION_NOT_RELEASABLE', `The version is ${found.version.assurance}.`);
  }
  const { evaluationId, env } = request;
  const evaluation = await tx.evaluation.findFirst({ where: { evaluationId, model, version } });
  if (evaluation === null) {
    throw new PlatformError('NOT_FOUND', 'There is no such evaluation of this version.');
  }
  const report = reportOf(evaluation);
  const approvable = judgeApprovable(report.overall, report.criteria);
  assertApprovable(approvable);
  await assertShadowed(tx, request, found.riskClass);
  const open = await tx.approval.findFirst({ where: { model, version, env, closedAt: null } });
  if (open !== null) {
    throw new PlatformError('RUN_IN_PROGRESS', 'An approval of this version is open.', {
      extensions: { running: open.approvalId },
    });
  }
  const parts = { ...request, rolloutPlanDigest: request.planDigest, shadowReportDigest: null };
  const subject = await approvalSubject(tx, parts, evaluationId);
  if (subject === undefined) {
    throw new PlatformError('NOT_APPROVABLE', 'The evaluation has no report.');
  }
  return { subject, approvable, riskClass: found.riskClass };
}

/** One request, inside its transaction: the row, the version's state, and the start of `awaitApproval`. */
async function requestApproval(
  tx: Tx,
  caller: Caller,
  request: ParsedApprovalRequest,
): Promise<Change<StartedFacts>> {
  const { subject, approvable, riskClass } = await readyToAsk(tx, request);
  const { model, version, env, deadlineMs } = request;
  const approvalId = newId('approval');
  const digest = subjectDigest(subject);
  const required = riskClass === 'high' || approvable.toWaive.length > 0 ? 2 : 1;
  await insertApproval(tx, caller, { approvalId, request, subject, digest, required });
  await tx.modelVersion.updateMany({
    where: { model, version },
    data: { assurance: 'PENDING_APPROVAL', updatedAt: new Date() },
  });
  const named = { tenant: caller.tenant, approvalId, model, version, env };
  const start = approvalStart({ ...named, deadlineMs, reminderBp: DEFAULT_REMINDER_BP }, riskClass);
  return {
    status: 202,
    body: { id: approvalId, workflowId: start.workflowId, status: 'PENDING' },
    audit: {
      action: 'approval.requested',
      resource: { type: 'approval', id: approvalId, digest },
      after: { required },
      reason: request.comment,
    },
    events: [
      {
        type: 'anneal.approval.requested.v1',
        subject: approvalId,
        data: { model, version, env, subjectDigest: digest, required },
      },
    ],
    starts: [start],
  };
}

async function insertApproval(
  tx: Tx,
  caller: Caller,
  made: {
    approvalId: string;
    request: ParsedApprovalRequest;
    subject: ApprovalSubject;
    digest: string;
    required: number;
  },
): Promise<void> {
  const { request } = made;
  await tx.$executeRaw`insert into approval (tenant_id, approval_id, model, version, env, evaluation_id, state, subject,
      subject_digest, rollout_plan, contract_break, required, comment, requested_by, expires_at)
    values (${caller.tenant}, ${made.approvalId}, ${request.model}, ${request.version}, ${request.env}, ${request.evaluationId},
      'PENDING', ${made.subject}::jsonb, ${made.digest},
      ${request.rolloutPlan as Prisma.InputJsonValue}::jsonb, ${request.contractBreak}, ${made.required}, ${request.comment},
      ${caller.actor.subject}, now() + make_interval(secs => ${request.deadlineMs / 1000}))`;
}

/** Asking for an approval. */
export const createApprovalRequests = (db: Database) => ({
  request: (caller: Caller, request: ParsedApprovalRequest): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, (tx) => requestApproval(tx, caller, request)),
});
