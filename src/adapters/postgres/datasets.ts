import {
  datasetContractViewSchema,
  datasetViewSchema,
  type DatasetContractView,
  type DatasetView,
  type PublicationOptions,
  type PutDataset,
} from '../../domain/datasets/contract.js';
import {
  datasetContractSchema,
  type DatasetContract,
} from '../../domain/datasets/dataset-contract.js';
import { planPublication } from '../../domain/datasets/plan-publication.js';
import type { PlannedPublication } from '../../domain/datasets/plan-publication.js';
import { datasetContractDigest } from '../../domain/datasets/snapshot-id.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import { riskClasses, type RiskClass } from '../../domain/registry/contract.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import type { Dataset, DatasetContract as ContractRow, Prisma } from './generated/client.js';

const json = (value: unknown): Prisma.InputJsonValue => value as Prisma.InputJsonValue;

const datasetView = (row: Dataset): DatasetView =>
  datasetViewSchema.parse({
    ...row,
    currentSnapshotId: row.currentSnapshotId ?? undefined,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  });

const contractView = (row: ContractRow): DatasetContractView =>
  datasetContractViewSchema.parse({
    id: row.contractId,
    dataset: row.dataset,
    contract: row.body,
    digest: row.digest,
    createdBy: row.createdBy,
    createdAt: row.createdAt.toISOString(),
  });

async function requireDataset(tx: Tx, tenant: string, name: string): Promise<Dataset> {
  const row = await tx.dataset.findUnique({
    where: { tenantId_name: { tenantId: tenant, name } },
  });
  if (row === null) throw new PlatformError('NOT_FOUND', 'There is no data set of this name.');
  return row;
}

const rankOf = (risk: string): number => riskClasses.indexOf(risk as RiskClass);

/** @throws ILLEGAL_TRANSITION where the risk class would be lowered */
function refuseLowering(before: Dataset, after: PutDataset): void {
  if (rankOf(after.riskClass) >= rankOf(before.riskClass)) return;
  throw new PlatformError('ILLEGAL_TRANSITION', 'Lowering a risk class needs an approval.', {
    errors: [{ pointer: '/riskClass', code: 'ILLEGAL_TRANSITION' }],
    extensions: {
      from: before.riskClass,
      to: after.riskClass,
      allowed: riskClasses.slice(rankOf(before.riskClass)),
    },
  });
}

/** Creates a data set (201) or changes it (200); snapshots that exist keep the terms they were published under. */
const putDataset =
  (db: Database) =>
  (caller: Caller, name: string, input: PutDataset): Promise<Outcome<DatasetView>> =>
    mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      await tx.$queryRaw`select 1 from dataset
        where tenant_id = ${tenant} and name = ${name} for update`;
      const where = { tenantId_name: { tenantId: tenant, name } };
      const before = await tx.dataset.findUnique({ where });
      if (before !== null) refuseLowering(before, input);
      const row =
        before === null
          ? await tx.dataset.create({
              data: { ...input, tenantId: tenant, name, createdBy: caller.actor.subject },
            })
          : await tx.dataset.update({ where, data: { ...input, updatedAt: new Date() } });
      const verb = before === null ? 'created' : 'changed';
      return {
        status: before === null ? 201 : 200,
        body: datasetView(row),
        events: [
          {
            type: `anneal.datasets.${verb}.v1`,
            subject: `datasets/${name}`,
            data: { dataset: name, riskClass: row.riskClass },
          },
        ],
        audit: {
          action: `datasets.${verb}`,
          resource: { type: 'dataset', id: name },
          ...(before === null ? {} : { before: termsOf(before) }),
          after: termsOf(row),
        },
      };
    });

const termsOf = ({ purposes, legalBasis, retentionDays, riskClass }: Dataset) => ({
  purposes,
  legalBasis,
  retentionDays,
  riskClass,
});

/** Data sets by name. */
const listDatasets =
  (db: Database) =>
  (tenant: string, page: { limit: number; after: string | undefined }): Promise<DatasetView[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.dataset.findMany({
        where: {
          tenantId: tenant,
          ...(page.after === undefined ? {} : { name: { gt: page.after } }),
        },
        orderBy: { name: 'asc' },
        take: page.limit + 1,
      });
      return rows.map(datasetView);
    });

/** Writes a contract, which never changes. @throws NOT_FOUND without the data set */
const createContract =
  (db: Database) =>
  (
    caller: Caller,
    dataset: string,
    contract: DatasetContract,
  ): Promise<Outcome<DatasetContractView>> =>
    mutate(db, caller, async (tx) => {
      await requireDataset(tx, caller.tenant, dataset);
      const contractId = newId('contract');
      const digest = datasetContractDigest(contract);
      const row = await tx.datasetContract.create({
        data: {
          tenantId: caller.tenant,
          contractId,
          dataset,
          body: json(contract),
          digest,
          createdBy: caller.actor.subject,
        },
      });
      return {
        status: 201,
        body: contractView(row),
        events: [
          {
            type: 'anneal.datasets.contract_created.v1',
            subject: `datasets/${dataset}`,
            data: { dataset, contractId, digest },
          },
        ],
        audit: {
          action: 'datasets.contract_created',
          resource: { type: 'dataset-contract', id: contractId, digest },
          after: { dataset, fields: contract.fields.length },
        },
      };
    });

/** One contract of a data set; undefined where there is none. */
const findContract =
  (db: Database) =>
  (tenant: string, dataset: string, contractId: string): Promise<DatasetContractView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.datasetContract.findFirst({
        where: { tenantId: tenant, dataset, contractId },
      });
      return row === null ? undefined : contractView(row);
    });

/** Contracts of a data set, newest first. @throws NOT_FOUND without the data set */
const listContracts =
  (db: Database) =>
  (
    tenant: string,
    dataset: string,
    page: { limit: number; after: string | undefined },
  ): Promise<DatasetContractView[]> =>
    db.withTenant(tenant, async (tx) => {
      await requireDataset(tx, tenant, dataset);
      const rows = await tx.datasetContract.findMany({
        where: {
          tenantId: tenant,
          dataset,
          ...(page.after === undefined ? {} : { contractId: { lt: page.after } }),
        },
        orderBy: { contractId: 'desc' },
        take: page.limit + 1,
      });
      return rows.map(contractView);
    });

/** Plans a publication on what is stored; throws the refusal, or NOT_FOUND without the data set. */
export async function planOn(
  tx: Tx,
  tenant: string,
  asked: { dataset: string; options: PublicationOptions },
): Promise<Extract<PlannedPublication, { ok: true }>> {
  const dataset = datasetView(await requireDataset(tx, tenant, asked.dataset));
  const { contractId } = asked.options;
  const row = await tx.datasetContract.findFirst({
    where: {
      tenantId: tenant,
      dataset: asked.dataset,
      ...(contractId === undefined ? {} : { contractId }),
    },
    orderBy: { contractId: 'desc' },
  });
  const contract = row && { id: row.contractId, contract: datasetContractSchema.parse(row.body) };
  const planned = planPublication(asked.options, { dataset, contract: contract ?? undefined });
  if (planned.ok) return planned;
  throw new PlatformError(planned.code, planned.message, { errors: planned.errors });
}

/** Data sets and their contracts, as the API writes and reads them (role anneal_api). */
export const createDatasetStore = (db: Database) => ({
  putDataset: putDataset(db),
  /** One data set; undefined where there is none of this name. */
  findDataset: (tenant: string, name: string): Promise<DatasetView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.dataset.findUnique({
        where: { tenantId_name: { tenantId: tenant, name } },
      });
      return row === null ? undefined : datasetView(row);
    }),
  listDatasets: listDatasets(db),
  createContract: createContract(db),
  findContract: findContract(db),
  listContracts: listContracts(db),
  /** The plan of a publication and its contract, before any byte of the file is read. @throws the refusal */
  planPublication: (tenant: string, asked: { dataset: string; options: PublicationOptions }) =>
    db.withTenant(tenant, (tx) => planOn(tx, tenant, asked)),
});
