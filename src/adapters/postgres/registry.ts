import { PlatformError } from '../../domain/errors.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import { checkWithdrawal } from '../../domain/registry/check-withdrawal.js';
import {
  modelViewSchema,
  riskClasses,
  versionSummarySchema,
  versionViewSchema,
  type Annotations,
  type ModelView,
  type PatchVersion,
  type RegisterModel,
  type RiskClass,
  type VersionSummary,
  type VersionView,
} from '../../domain/registry/contract.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import type { Deployment, ModelVersion, Prisma, RegisteredModel } from './generated/client.js';
import { createLineageStore } from './registry-lineage.js';

const json = (value: unknown): Prisma.InputJsonValue => value as Prisma.InputJsonValue;

/** Keys that a version's annotations may hold. */
const MAX_ANNOTATIONS = 100;

/** A version by its model and number. */
export interface VersionName {
  model: string;
  version: number;
}

const modelView = (row: RegisteredModel): ModelView =>
  modelViewSchema.parse({
    name: row.name,
    purpose: row.purpose,
    riskClass: row.riskClass,
    outcome: row.outcome,
    policyId: row.policyName,
    owner: row.owner,
    versions: row.nextVersion - 1,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  });

const summaryFacts = (row: ModelVersion, deployments: Deployment[]) => ({
  model: row.model,
  version: row.version,
  assurance: row.assurance,
  artifactDigest: row.artifactDigest,
  runId: row.runId ?? undefined,
  metrics: row.metrics,
  deployments: deployments.map(({ env, state, barredAt, barredReason }) => ({
    env,
    state,
    barredAt: barredAt?.toISOString(),
    barredReason: barredReason ?? undefined,
  })),
  trainedBy: row.trainedBy,
  createdAt: row.createdAt.toISOString(),
});

const versionView = (row: ModelVersion, deployments: Deployment[]): VersionView =>
  versionViewSchema.parse({
    ...summaryFacts(row, deployments),
    artifactBytes: Number(row.artifactBytes),
    contract: row.contract,
    contractDigest: row.contractDigest,
    golden: row.golden,
    lineage: row.lineage,
    annotations: row.annotations,
    updatedAt: row.updatedAt.toISOString(),
  });

const rankOf = (risk: string): number => riskClasses.indexOf(risk as RiskClass);

/** What of a model may not change any more. @throws ILLEGAL_TRANSITION, ALREADY_EXISTS */
function refuseChange(before: RegisteredModel, after: RegisterModel): void {
  if (rankOf(after.riskClass) < rankOf(before.riskClass))
    throw new PlatformError('ILLEGAL_TRANSITION', 'Lowering a risk class needs an approval.', {
      errors: [{ pointer: '/riskClass', code: 'ILLEGAL_TRANSITION' }],
      extensions: {
        from: before.riskClass,
        to: after.riskClass,
        allowed: riskClasses.slice(rankOf(before.riskClass)),
      },
    });
  const same =
    before.purpose === after.purpose &&
    JSON.stringify(modelView(before).outcome) === JSON.stringify(after.outcome);
  if (before.nextVersion > 1 && !same)
    throw new PlatformError(
      'ALREADY_EXISTS',
      'Purpose and outcome are fixed once a version is registered.',
    );
}

async function requirePolicy(tx: Tx, tenant: string, name: string): Promise<void> {
  // Every tenant has `default` from its first day.
  if (name === 'default') return;
  const found = await tx.evaluationPolicy.findFirst({ where: { tenantId: tenant, name } });
  if (found === null)
    throw new PlatformError('POLICY_UNKNOWN', 'There is no evaluation policy of this name.', {
      errors: [{ pointer: '/policyId', code: 'POLICY_UNKNOWN' }],
    });
}

/** Creates a model or changes what may change of it. */
const putModel =
  (db: Database) =>
  (caller: Caller, name: string, input: RegisterModel): Promise<Outcome<ModelView>> =>
    mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      await requirePolicy(tx, tenant, input.policyId);
      await tx.$queryRaw`select 1 from registered_model
        where tenant_id = ${tenant} and name = ${name} for update`;
      const where = { tenantId_name: { tenantId: tenant, name } };
      const before = await tx.registeredModel.findUnique({ where });
      if (before !== null) refuseChange(before, input);
      const values = {
        purpose: input.purpose,
        riskClass: input.riskClass,
        outcome: json(input.outcome),
        policyName: input.policyId,
        owner: input.owner,
      };
      const row =
        before === null
          ? await tx.registeredModel.create({
              data: { ...values, tenantId: tenant, name, createdBy: caller.actor.subject },
            })
          : await tx.registeredModel.update({ where, data: { ...values, updatedAt: new Date() } });
      const verb = before === null ? 'created' : 'changed';
      return {
        status: before === null ? 201 : 200,
        body: modelView(row),
        events: [
          {
            type: `anneal.registry.model_${verb}.v1`,
            subject: `models/${name}`,
            data: { model: name, riskClass: row.riskClass },
          },
        ],
        audit: {
          action: `registry.model_${verb}`,
          resource: { type: 'model', id: name },
          ...(before === null ? {} : { before: modelView(before) }),
          after: modelView(row),
        },
      };
    });

const findModel =
  (db: Database) =>
  (tenant: string, name: string): Promise<ModelView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.registeredModel.findUnique({
        where: { tenantId_name: { tenantId: tenant, name } },
      });
      return row === null ? undefined : modelView(row);
    });

/** Models by name; one more than `limit` where there are more. */
const listModels =
  (db: Database) =>
  (tenant: string, page: { limit: number; after: string | undefined }): Promise<ModelView[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.registeredModel.findMany({
        where: {
          tenantId: tenant,
          ...(page.after === undefined ? {} : { name: { gt: page.after } }),
        },
        orderBy: { name: 'asc' },
        take: page.limit + 1,
      });
      return rows.map(modelView);
    });

const deploymentsOf = (tx: Tx, tenant: string, of: { model: string; versions: number[] }) =>
  tx.deployment.findMany({
    where: { tenantId: tenant, model: of.model, version: { in: of.versions } },
    orderBy: { env: 'asc' },
  });

/** Versions of a model, newest first; one more than `limit` where there are more. */
const listVersions =
  (db: Database) =>
  (
    tenant: string,
    filter: { model: string; assurance?: string | undefined },
    page: { limit: number; after: number | undefined },
  ): Promise<VersionSummary[]> =>
    db.withTenant(tenant, async (tx) => {
      const { model, assurance } = filter;
      const rows = await tx.modelVersion.findMany({
        where: {
          tenantId: tenant,
          model,
          ...(assurance === undefined ? {} : { assurance }),
          ...(page.after === undefined ? {} : { version: { lt: page.after } }),
        },
        orderBy: { version: 'desc' },
        take: page.limit + 1,
      });
      const versions = rows.map(({ version }) => version);
      const deployments = await deploymentsOf(tx, tenant, { model, versions });
      return rows.map((row) =>
        versionSummarySchema.parse(
          summaryFacts(
            row,
            deployments.filter(({ version }) => version === row.version),
          ),
        ),
      );
    });

const findVersion =
  (db: Database) =>
  (tenant: string, { model, version }: VersionName): Promise<VersionView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.modelVersion.findUnique({
        where: { tenantId_model_version: { tenantId: tenant, model, version } },
      });
      if (row === null) return undefined;
      return versionView(row, await deploymentsOf(tx, tenant, { model, versions: [version] }));
    });

/** The version, locked until the transaction ends: a promotion that reads it `for share` waits. @throws NOT_FOUND */
async function lockVersion(
  tx: Tx,
  tenant: string,
  { model, version }: VersionName,
): Promise<{ row: ModelVersion; deployments: Deployment[] }> {
  await tx.$queryRaw`select 1 from model_version
    where tenant_id = ${tenant} and model = ${model} and version = ${version} for update`;
  const row = await tx.modelVersion.findUnique({
    where: { tenantId_model_version: { tenantId: tenant, model, version } },
  });
  if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such version.');
  return { row, deployments: await deploymentsOf(tx, tenant, { model, versions: [version] }) };
}

const resourceOf = ({ model, version }: VersionName, digest: string) => ({
  type: 'model-version',
  id: `${model}/${version}`,
  digest,
});

function merged(before: Annotations, change: PatchVersion['annotations']): Annotations {
  const all = Object.entries({ ...before, ...change });
  const kept = all.flatMap(([key, value]) => (value === null ? [] : [[key, value] as const]));
  if (kept.length > MAX_ANNOTATIONS)
    throw new PlatformError('INVALID_REQUEST', `A version holds ${MAX_ANNOTATIONS} annotations.`, {
      errors: [{ pointer: '/annotations', code: 'too_big' }],
    });
  return Object.fromEntries(kept);
}

/** Changes annotations; their history is the audit entries of the version. */
const annotateVersion =
  (db: Database) =>
  (
    caller: Caller,
    name: VersionName,
    change: PatchVersion['annotations'],
  ): Promise<Outcome<VersionView>> =>
    mutate(db, caller, async (tx) => {
      const { row, deployments } = await lockVersion(tx, caller.tenant, name);
      const before = versionView(row, deployments).annotations;
      const annotations = merged(before, change);
      const { tenant } = caller;
      const after = await tx.modelVersion.update({
        where: { tenantId_model_version: { tenantId: tenant, ...name } },
        data: { annotations: json(annotations), updatedAt: new Date() },
      });
      return {
        status: 200,
        body: versionView(after, deployments),
        audit: {
          action: 'registry.annotated',
          resource: resourceOf(name, row.artifactDigest),
          before: { annotations: before },
          after: { annotations },
        },
      };
    });

/** Takes a version out of use. @throws NOT_FOUND, ILLEGAL_TRANSITION (ACTIVE, or already withdrawn) */
const withdrawVersion =
  (db: Database) =>
  (
    caller: Caller,
    name: VersionName,
    step: { to: 'QUARANTINED' | 'RETIRED'; reason: string },
  ): Promise<Outcome<VersionView>> =>
    mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const { row, deployments } = await lockVersion(tx, tenant, name);
      const { assurance } = versionView(row, deployments);
      const { to, reason } = step;
      const refused = checkWithdrawal({ assurance, deployments }, to);
      if (refused !== undefined)
        throw new PlatformError(
          'ILLEGAL_TRANSITION',
          refused.activeIn.length > 0
            ? `The version is ACTIVE in ${refused.activeIn.join(', ')}; roll it back first.`
            : `The version is ${refused.from}.`,
          { extensions: { ...refused, to } },
        );
      const after = await tx.modelVersion.update({
        where: { tenantId_model_version: { tenantId: tenant, ...name } },
        data: { assurance: to, updatedAt: new Date() },
      });
      const verb = to.toLowerCase();
      return {
        status: 200,
        body: versionView(after, deployments),
        events: [
          {
            type: `anneal.registry.${verb}.v1`,
            subject: `models/${name.model}/versions/${name.version}`,
            data: { ...name, from: assurance, to },
          },
        ],
        audit: {
          action: `registry.${verb}`,
          resource: resourceOf(name, row.artifactDigest),
          before: { assurance },
          after: { assurance: to },
          reason,
        },
      };
    });

/** Models, versions and lineage as the API reads and changes them (role anneal_api). */
export const createRegistryStore = (db: Database) => ({
  putModel: putModel(db),
  findModel: findModel(db),
  listModels: listModels(db),
  listVersions: listVersions(db),
  findVersion: findVersion(db),
  annotateVersion: annotateVersion(db),
  withdrawVersion: withdrawVersion(db),
  ...createLineageStore(db),
});
