import { PlatformError } from '../../domain/errors.js';
import type { Caller, Change, Outcome, StartedFacts } from '../../domain/events/change.js';
import type { StartRequest } from '../../domain/events/contract.js';
import { planDigest } from '../../domain/release/plan-digest.js';
import {
  completePlan,
  releasePlanSchema,
  releaseSummary,
  releaseWorkflowId,
  type ReleaseOrder,
  type ReleasePlan,
  type RollOutReleaseInput,
  type Target,
} from '../../domain/release/contract.js';
import type { ReleaseRecord } from '../../domain/release/record.js';
import { nothingLive } from '../../domain/release/routing.js';
import { allowedOrders, eventOfOrder, transition } from '../../domain/release/transitions.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import { readRouting } from './release-routing.js';
import { readRelease } from './release-row.js';
import { mustRead } from './release-steps.js';

/** What a release is started with: the parsed body, and limits from configuration. */
export interface NewRelease {
  target: Target;
  version: number;
  approvalId: string;
  plan: ReleasePlan;
  supersede: boolean;
  reason: string;
  maxHistoryEvents: number;
}

/** What a rollback is started with. */
export interface NewRollback {
  target: Target;
  toVersion: number | undefined;
  /** The epoch that the caller has seen. */
  epoch: number;
  reason: string;
  incidentId: string | undefined;
  maxHistoryEvents: number;
}

const withdrawn = ['QUARANTINED', 'RETIRED', 'ERASED'];

const refuse = (
  code: ConstructorParameters<typeof PlatformError>[0],
  message: string,
  extensions: Record<string, unknown> = {},
) => new PlatformError(code, message, { extensions });

/** Starts on one target follow each other, so that the second sees the first. */
const lockTarget = (tx: Tx, tenant: string, { env, kind, name }: Target) =>
  tx.$executeRaw`select pg_advisory_xact_lock(hashtextextended(${`release/${tenant}/${env}/${kind}/${name}`}, 0))`;

async function findModel(tx: Tx, name: string) {
  const model = await tx.registeredModel.findFirst({ where: { name } });
  if (model === null) throw refuse('MODEL_NOT_FOUND', `There is no model ${name}.`);
  return model;
}

/** The release that is on a target now, and the one that waits behind it. */
async function unfinished(tx: Tx, tenant: string, { env, kind, name }: Target) {
  const rows = await tx.release.findMany({
    where: { tenantId: tenant, env, kind, name, endedAt: null },
    select: { releaseId: true, queuedBehind: true },
  });
  return {
    running: rows.find((row) => row.queuedBehind === null)?.releaseId,
    queued: rows.find((row) => row.queuedBehind !== null)?.releaseId,
  };
}

const started = (tenant: string, releaseId: string, status: string): StartedFacts => ({
  id: releaseId,
  workflowId: releaseWorkflowId(tenant, releaseId),
  status,
});

const inProgress = (running: string) =>
  refuse('RELEASE_IN_PROGRESS', 'Another release of this target is running.', { running });

/** Writes an order and the wake that carries its id. */
async function writeOrder(
  tx: Tx,
  caller: Caller,
  order: { releaseId: string; command: ReleaseOrder; reason: string },
) {
  const { tenant } = caller;
  const commandId = newId('event');
  await tx.releaseCommand.create({
    data: { tenantId: tenant, commandId, ...order, actor: caller.actor.subject },
  });
  return { factId: commandId, workflowId: releaseWorkflowId(tenant, order.releaseId) };
}

/** Inserts the row, its first step and the intent of the workflow. */
async function insertRelease(
  tx: Tx,
  caller: Caller,
  row: Omit<NewRelease, 'supersede' | 'approvalId'> & {
    approvalId: string | null;
    queuedBehind: string | null;
    riskClass: string;
  },
): Promise<{ releaseId: string; start: StartRequest }> {
  const { tenant } = caller;
  const { target, version, plan, reason, maxHistoryEvents, riskClass, queuedBehind } = row;
  const releaseId = newId('release');
  const actor = caller.actor.subject;
  await tx.release.create({
    data: {
      tenantId: tenant,
      releaseId,
      ...target,
      version,
      strategy: plan.strategy,
      approvalId: row.approvalId,
      state: 'PREFLIGHT',
      plan: plan,
      planDigest: planDigest(plan),
      reason,
      queuedBehind,
      requestedBy: actor,
    },
  });
  await tx.releaseStep.create({
    data: { tenantId: tenant, releaseId, seq: 1, state: 'PREFLIGHT', reason, actor, checks: [] },
  });
  const input: RollOutReleaseInput = {
    tenant,
    releaseId,
    ...target,
    version,
    riskClass,
    plan,
    maxHistoryEvents,
  };
  const start: StartRequest = {
    workflowId: releaseWorkflowId(tenant, releaseId),
    workflowType: 'rollOutRelease',
    taskQueue: 'orchestration',
    input: { ...input },
    options: {
      summary: releaseSummary({ ...target, version }),
      searchAttributes: {
        Target: target.name,
        Version: `v${version}`,
        RiskClass: riskClass,
        Phase: 'PREFLIGHT',
        WaitingOn: 'nothing',
      },
      priorityKey: 3,
    },
    startedBy: 'api',
  };
  return { releaseId, start };
}

/** The approval as far as the API can judge it; the worker verifies the signatures. */
async function checkApproval(tx: Tx, caller: Caller, request: NewRelease & { riskClass: string }) {
  const { target, version, approvalId, plan, riskClass } = request;
  const approval = await tx.approval.findFirst({ where: { approvalId } });
  const fits =
    approval?.model === target.name && approval.version === version && approval.env === target.env;
  if (approval === null || !fits || approval.state !== 'APPROVED') {
    throw refuse('APPROVAL_INVALID', 'This approval does not allow this version here.', {
      ...(fits ? { state: approval.state } : {}),
    });
  }
  if (planDigest(approval.rolloutPlan) !== planDigest(plan)) {
    throw refuse('PLAN_CHANGED', 'The plan differs from the one that was approved.', {
      approved: completePlan(releasePlanSchema.parse(approval.rolloutPlan)),
    });
  }
  const own = await tx.approvalDecision.findFirst({
    where: { approvalId, principalId: caller.actor.subject },
  });
  if (riskClass === 'high' && own !== null) {
    throw refuse('SEPARATION_OF_DUTIES', 'An approver of a high-risk model may not release it.');
  }
  return approval;
}

async function checkVersion(
  tx: Tx,
  tenant: string,
  request: NewRelease & { requestedAt: Date },
): Promise<void> {
  const { target, version, plan, requestedAt } = request;
  const found = await tx.modelVersion.findFirst({ where: { model: target.name, version } });
  if (found === null) throw refuse('NOT_FOUND', `There is no version ${version}.`);
  if (withdrawn.includes(found.assurance)) {
    throw refuse('VERSION_NOT_RELEASABLE', `Version ${version} is ${found.assurance}.`);
  }
  const deployment = await tx.deployment.findFirst({
    where: { env: target.env, model: target.name, version },
  });
  const barredAt = deployment?.barredAt ?? null;
  if (barredAt !== null && requestedAt <= barredAt) {
    throw refuse('VERSION_BARRED', `Version ${version} was rolled back here.`, {
      barredAt: barredAt.toISOString(),
    });
  }
  const routing = await readRouting(tx, tenant, target);
  if (routing?.active === version) {
    throw refuse('VERSION_NOT_RELEASABLE', `Version ${version} is active here already.`);
  }
  if (plan.shadow !== undefined && (routing?.active ?? null) === null) {
    throw new PlatformError(
      'PLAN_UNSUPPORTED',
      'A shadow needs an active version to compare with.',
      {
        errors: [{ pointer: '/shadow', code: 'unsupported', detail: 'no version is active here' }],
      },
    );
  }
}

const createRelease =
  (db: Database) =>
  (caller: Caller, request: NewRelease): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, async (tx): Promise<Change<StartedFacts>> => {
      const { tenant } = caller;
      const { target, reason } = request;
      await lockTarget(tx, tenant, target);
      const { riskClass } = await findModel(tx, target.name);
      const approval = await checkApproval(tx, caller, { ...request, riskClass });
      await checkVersion(tx, tenant, { ...request, requestedAt: approval.createdAt });
      const { running, queued } = await unfinished(tx, tenant, target);
      if (running !== undefined && !request.supersede) throw inProgress(running);
      if (queued !== undefined) throw inProgress(queued);
      const { releaseId, start } = await insertRelease(tx, caller, {
        ...request,
        riskClass,
        queuedBehind: running ?? null,
      });
      const command = { command: 'supersede' as const, reason: `superseded by ${releaseId}` };
      const wakes =
        running === undefined
          ? []
          : [await writeOrder(tx, caller, { releaseId: running, ...command })];
      const facts = { ...target, version: request.version, approvalId: request.approvalId };
      return {
        status: 202,
        body: started(tenant, releaseId, 'PREFLIGHT'),
        audit: {
          action: 'release.started',
          resource: { type: 'release', id: releaseId, digest: planDigest(request.plan) },
          after: { ...facts, supersedes: running },
          reason,
        },
        events: [{ type: 'anneal.release.started.v1', subject: releaseId, data: facts }],
        starts: [start],
        wakes,
      };
    });

/** The version to go back to, or the refusal. */
async function rollbackTarget(
  tx: Tx,
  request: NewRollback,
  now: { active: number | null; previous: number | null },
): Promise<number> {
  const { active, previous } = now;
  const { target, toVersion = previous } = request;
  const invalid = (why: string) =>
    refuse('ROLLBACK_TARGET_INVALID', why, { toVersion: toVersion ?? null });
  if (toVersion === null) throw invalid('There is no previous version to go back to.');
  if (toVersion === active) throw invalid(`Version ${toVersion} is active already.`);
  const where = { model: target.name, version: toVersion };
  const found = await tx.modelVersion.findFirst({ where });
  const deployment = await tx.deployment.findFirst({ where: { ...where, env: target.env } });
  if (found === null || deployment?.wasActive !== true) {
    throw invalid(`Version ${toVersion} was never active here.`);
  }
  if (withdrawn.includes(found.assurance)) {
    throw invalid(`Version ${toVersion} is ${found.assurance}.`);
  }
  return toVersion;
}

/** A running release is aborted by a rollback, unless another version than the one it would restore is asked for. */
async function abortInstead(
  tx: Tx,
  caller: Caller,
  of: { running: ReleaseRecord; active: number | null; request: NewRollback },
): Promise<Change<StartedFacts>> {
  const { running, active, request } = of;
  const { releaseId, progress, plan } = running;
  const restores = running.earlier === null ? active : running.earlier.active;
  const legal = transition(progress, eventOfOrder('abort'), plan) !== undefined;
  if (!legal || (request.toVersion !== undefined && request.toVersion !== restores)) {
    throw inProgress(releaseId);
  }
  const { reason, incidentId } = request;
  return {
    status: 202,
    body: started(caller.tenant, releaseId, progress.state),
    audit: {
      action: 'release.rollback_requested',
      resource: { type: 'release', id: releaseId },
      after: { command: 'abort', incidentId },
      reason,
    },
    wakes: [await writeOrder(tx, caller, { releaseId, command: 'abort', reason })],
  };
}

const createRollback =
  (db: Database) =>
  (caller: Caller, request: NewRollback): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, async (tx): Promise<Change<StartedFacts>> => {
      const { tenant } = caller;
      const { target, reason, incidentId, maxHistoryEvents } = request;
      await lockTarget(tx, tenant, target);
      const { riskClass } = await findModel(tx, target.name);
      const routing = await readRouting(tx, tenant, target);
      const { epoch, active, previous } = routing ?? { ...nothingLive, epoch: 0 };
      if (epoch !== request.epoch) {
        throw refuse('STALE_EPOCH', `The pointer is at epoch ${epoch}.`, { epoch });
      }
      const { running, queued } = await unfinished(tx, tenant, target);
      if (running !== undefined) {
        const record = await mustRead(tx, { tenant, releaseId: running }, true);
        return abortInstead(tx, caller, { running: record, active, request });
      }
      if (queued !== undefined) throw inProgress(queued);
      const version = await rollbackTarget(tx, request, { active, previous });
      const plan = completePlan(
        releasePlanSchema.parse({ strategy: 'rollback', bakeMs: 0, verifyMs: 0 }),
      );
      const { releaseId, start } = await insertRelease(tx, caller, {
        target,
        version,
        plan,
        reason,
        maxHistoryEvents,
        riskClass,
        approvalId: null,
        queuedBehind: null,
      });
      const facts = { ...target, version, from: active, incidentId };
      return {
        status: 202,
        body: started(tenant, releaseId, 'PREFLIGHT'),
        audit: {
          action: 'release.rollback_requested',
          resource: { type: 'release', id: releaseId },
          after: facts,
          reason,
        },
        events: [{ type: 'anneal.release.rollback_requested.v1', subject: releaseId, data: facts }],
        starts: [start],
      };
    });

const orderRelease =
  (db: Database) =>
  (
    caller: Caller,
    order: { releaseId: string; env: string; command: ReleaseOrder; reason: string },
  ): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, async (tx): Promise<Change<StartedFacts>> => {
      const { tenant } = caller;
      const { releaseId, command, reason } = order;
      const record = await readRelease(tx, { tenant, releaseId }, true);
      if (record?.env !== order.env) {
        throw refuse('NOT_FOUND', 'There is no such release.');
      }
      const { progress, plan } = record;
      const next = transition(progress, eventOfOrder(command), plan);
      if (next === undefined) {
        const allowed = allowedOrders(progress, plan);
        throw refuse('ILLEGAL_TRANSITION', `The release is ${progress.state}.`, {
          from: progress.state,
          to: command,
          allowed,
        });
      }
      return {
        status: 202,
        body: started(tenant, releaseId, progress.state),
        audit: {
          action: 'release.ordered',
          resource: { type: 'release', id: releaseId },
          before: { state: progress.state },
          after: { command },
          reason,
        },
        wakes: [await writeOrder(tx, caller, { releaseId, command, reason })],
      };
    });

/** Starts of releases and rollbacks, and orders to them (role anneal_api). */
export const createReleaseStore = (db: Database) => ({
  /**
   * Starts a release of an approved version; the intent is in the same transaction.
   * @throws MODEL_NOT_FOUND, NOT_FOUND, APPROVAL_INVALID, PLAN_CHANGED, SEPARATION_OF_DUTIES, VERSION_NOT_RELEASABLE,
   * VERSION_BARRED, PLAN_UNSUPPORTED, RELEASE_IN_PROGRESS
   */
  createRelease: createRelease(db),
  /**
   * Rolls back without an approval: aborts a running release, or starts one that only goes back.
   * @throws MODEL_NOT_FOUND, STALE_EPOCH, ROLLBACK_TARGET_INVALID, RELEASE_IN_PROGRESS
   */
  createRollback: createRollback(db),
  /** Writes an order to a running release. @throws NOT_FOUND, ILLEGAL_TRANSITION */
  orderRelease: orderRelease(db),
});
