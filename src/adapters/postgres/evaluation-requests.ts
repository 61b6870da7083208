import { digestOf } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import {
  evaluationInputSchema,
  evaluationWorkflowId,
  type CreatePolicy,
  type EvaluationState,
  type EvaluationView,
  type EvaluateVersionInput,
  type PolicyView,
  type StartEvaluation,
} from '../../domain/evaluation/contract.js';
import type { Caller, Change, Outcome, StartedFacts } from '../../domain/events/change.js';
import { versionLineageSchema } from '../../domain/registry/contract.js';
import { HOUR_MS, MINUTE_MS } from '../../domain/units.js';
import type { Verdict } from '../../domain/verdict.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import { readSnapshot } from './training-ground.js';
import type { Evaluation, EvaluationPolicy, RegisteredModel } from './generated/client.js';

const TIMEOUT_MS = 2 * HOUR_MS;
const HEARTBEAT_MS = MINUTE_MS;

/** What is asked for: a version, and what it is judged on. */
export interface EvaluationRequest extends StartEvaluation {
  model: string;
  version: number;
  /** The environment whose champion the version is compared with. */
  env: string;
}

async function revisionOf(tx: Tx, model: RegisteredModel, asked: number | undefined) {
  const policy = await tx.evaluationPolicy.findFirst({
    where: { name: model.policyName, ...(asked === undefined ? {} : { revision: asked }) },
    orderBy: { revision: 'desc' },
  });
  if (policy !== null) return { name: policy.name, revision: policy.revision };
  throw new PlatformError('POLICY_UNKNOWN', `Policy ${model.policyName} has no such revision.`, {
    errors: [{ pointer: '/policyRevision', code: 'unknown' }],
  });
}

/** The snapshot must be live and hold every field that is read of it. */
async function assertReadable(
  tx: Tx,
  tenant: string,
  read: { snapshotId: string; fields: [pointer: string, name: string][] },
) {
  const snapshot = await readSnapshot(tx, tenant, read.snapshotId);
  if (snapshot === undefined) {
    throw new PlatformError('NOT_FOUND', 'There is no such snapshot.', {
      errors: [{ pointer: '/evaluationSnapshotId', code: 'unknown' }],
    });
  }
  if (snapshot.state !== 'LIVE') {
    const extensions = { state: snapshot.state };
    throw new PlatformError('SNAPSHOT_NOT_LIVE', `The snapshot is ${snapshot.state}.`, {
      extensions,
    });
  }
  const known = new Set(snapshot.contract.fields.map(({ name }) => name));
  const errors = read.fields
    .filter(([, name]) => !known.has(name))
    .map(([pointer, name]) => ({
      pointer,
      code: 'unknown',
      detail: `the snapshot has no field ${name}`,
    }));
  if (errors.length > 0)
    throw new PlatformError('FEATURE_UNKNOWN', 'The snapshot lacks fields.', { errors });
}

/** ACTIVE and PREVIOUS of the environment; a version is not compared with itself. */
async function championsOf(tx: Tx, request: EvaluationRequest) {
  const routing = await tx.routing.findFirst({
    where: { env: request.env, kind: 'model', name: request.model },
  });
  const other = (version: number | null | undefined): number | null =>
    version == null || version === request.version ? null : version;
  return { champion: other(routing?.active), previousChampion: other(routing?.previous) };
}

const startOf = (input: EvaluateVersionInput, riskClass: string) => ({
  workflowId: evaluationWorkflowId(input.tenant, input.evaluationId),
  workflowType: 'evaluateVersion',
  taskQueue: 'orchestration' as const,
  input: { ...input },
  options: {
    summary: `${input.model} v${input.version}: evaluation`,
    searchAttributes: {
      Target: input.model,
      Version: `v${input.version}`,
      RiskClass: riskClass,
      Phase: 'QUEUED',
      WaitingOn: 'nothing',
    },
    priorityKey: 5 as const,
  },
  startedBy: 'api' as const,
});

/** The version that may be evaluated, its model, and the attributes that fairness is measured over. */
async function readyVersion(tx: Tx, tenant: string, request: EvaluationRequest) {
  const { model, version, evaluationSnapshotId } = request;
  const registered = await tx.registeredModel.findFirst({ where: { name: model } });
  const row = await tx.modelVersion.findFirst({ where: { model, version } });
  if (registered === null || row === null) {
    throw new PlatformError('NOT_FOUND', 'There is no such version.');
  }
  if (['QUARANTINED', 'RETIRED', 'ERASED'].includes(row.assurance)) {
    throw new PlatformError('VERSION_NOT_RELEASABLE', `The version is ${row.assurance}.`);
  }
  const lineage = versionLineageSchema.parse(row.lineage);
  const protectedAttributes = request.protectedAttributes ?? lineage.protectedAttributes;
  const read = [lineage.target, ...lineage.features];
  await assertReadable(tx, tenant, {
    snapshotId: evaluationSnapshotId,
    fields: [
      ...read.map((name): [string, string] => ['/evaluationSnapshotId', name]),
      ...protectedAttributes.map((name, at): [string, string] => [
        `/protectedAttributes/${at}`,
        name,
      ]),
    ],
  });
  return { registered, protectedAttributes };
}

async function startEvaluation(
  tx: Tx,
  caller: Caller,
  request: EvaluationRequest,
): Promise<Change<StartedFacts>> {
  const { model, version, env, seed, intersections, evaluationSnapshotId } = request;
  const { registered, protectedAttributes } = await readyVersion(tx, caller.tenant, request);
  const policy = await revisionOf(tx, registered, request.policyRevision);
  const evaluationId = newId('evaluation');
  const input = {
    evaluationSnapshotId,
    policy,
    protectedAttributes,
    intersections,
    seed,
    env,
    ...(await championsOf(tx, request)),
  };
  await tx.evaluation.create({
    data: {
      tenantId: caller.tenant,
      evaluationId,
      model,
      version,
      state: 'QUEUED',
      input,
      requestedBy: caller.actor.subject,
    },
  });
  const run = {
    tenant: caller.tenant,
    evaluationId,
    model,
    version,
    timeoutMs: TIMEOUT_MS,
    heartbeatMs: HEARTBEAT_MS,
  };
  const start = startOf(run, registered.riskClass);
  return {
    status: 202,
    body: { id: evaluationId, workflowId: start.workflowId, status: 'QUEUED' },
    audit: {
      action: 'evaluation.requested',
      resource: { type: 'evaluation', id: evaluationId },
      after: { model, version, evaluationSnapshotId, champion: input.champion },
      policyVersion: `${policy.name}@${policy.revision}`,
    },
    starts: [start],
  };
}

const viewOf = (row: Evaluation): EvaluationView => {
  const { evaluationSnapshotId, policy, seed } = evaluationInputSchema.parse(row.input);
  return {
    id: row.evaluationId,
    model: row.model,
    version: row.version,
    state: row.state as EvaluationState,
    verdict: row.verdict as Verdict | null,
    evaluationSnapshotId,
    policy,
    seed,
    reportDigest: row.reportDigest,
    report: row.report === null ? null : (JSON.parse(row.report) as Record<string, unknown>),
    failure: row.failure as EvaluationView['failure'],
    requestedBy: row.requestedBy,
    createdAt: row.createdAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
  };
};

const policyViewOf = (row: EvaluationPolicy): PolicyView => ({
  name: row.name,
  revision: row.revision,
  digest: row.digest,
  criteria: row.criteria as PolicyView['criteria'],
  createdBy: row.createdBy,
  createdAt: row.createdAt.toISOString(),
});

async function createPolicy(
  tx: Tx,
  caller: Caller,
  asked: CreatePolicy,
): Promise<Change<PolicyView>> {
  // Two writers of one policy take turns: revisions have no gaps.
  await tx.$queryRaw`select pg_advisory_xact_lock(hashtextextended(${`${caller.tenant}/${asked.name}`}, 7))::text`;
  const newest = await tx.evaluationPolicy.findFirst({
    where: { name: asked.name },
    orderBy: { revision: 'desc' },
  });
  const revision = (newest?.revision ?? 0) + 1;
  const digest = digestOf('anneal.evaluation.policy.v1', { ...asked, revision });
  const row = await tx.evaluationPolicy.create({
    data: {
      tenantId: caller.tenant,
      name: asked.name,
      revision,
      criteria: asked.criteria,
      digest,
      createdBy: caller.actor.subject,
    },
  });
  return {
    status: 201,
    body: policyViewOf(row),
    audit: {
      action: 'evaluation.policy_created',
      resource: { type: 'evaluation-policy', id: `${asked.name}@${revision}`, digest },
    },
  };
}

/** What the API needs of evaluations and their policies. */
export const createEvaluationStore = (db: Database) => ({
  startEvaluation: (caller: Caller, request: EvaluationRequest): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, (tx) => startEvaluation(tx, caller, request)),

  findEvaluation: (tenant: string, evaluationId: string): Promise<EvaluationView> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.evaluation.findFirst({ where: { evaluationId } });
      if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such evaluation.');
      return viewOf(row);
    }),

  listEvaluations: (
    tenant: string,
    filter: { model: string; version: number },
    page: { limit: number; after: string | undefined },
  ): Promise<EvaluationView[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.evaluation.findMany({
        where: {
          ...filter,
          ...(page.after === undefined ? {} : { evaluationId: { lt: page.after } }),
        },
        orderBy: { evaluationId: 'desc' },
        take: page.limit + 1,
      });
      return rows.map(viewOf);
    }),

  createPolicy: (caller: Caller, asked: CreatePolicy): Promise<Outcome<PolicyView>> =>
    mutate(db, caller, (tx) => createPolicy(tx, caller, asked)),

  listPolicies: (
    tenant: string,
    filter: { name?: string },
    page: { limit: number; after: string | undefined },
  ): Promise<PolicyView[]> =>
    db.withTenant(tenant, async (tx) => {
      const [name = '', revision = '0'] = page.after?.split('@') ?? [];
      const rows = await tx.evaluationPolicy.findMany({
        where: {
          ...filter,
          ...(page.after === undefined
            ? {}
            : { OR: [{ name: { gt: name } }, { name, revision: { lt: Number(revision) } }] }),
        },
        orderBy: [{ name: 'asc' }, { revision: 'desc' }],
        take: page.limit + 1,
      });
      return rows.map(policyViewOf);
    }),
});
