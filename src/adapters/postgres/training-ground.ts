import {
  datasetContractSchema,
  type DatasetContract,
} from '../../domain/datasets/dataset-contract.js';
import { snapshotFactsSchema, type SnapshotFacts } from '../../domain/training/snapshot-facts.js';
import type { Tx } from './database.js';

/** A snapshot as a run reads it: state, contract, and what its manifest says. */
export interface SnapshotRow extends SnapshotFacts {
  snapshotId: string;
  state: string;
  contractId: string;
  contract: DatasetContract;
}

/** Reads a snapshot with its contract; undefined where there is none of this id. */
export async function readSnapshot(
  tx: Tx,
  tenant: string,
  snapshotId: string | undefined,
): Promise<SnapshotRow | undefined> {
  if (snapshotId === undefined) return undefined;
  const row = await tx.snapshot.findUnique({
    where: { tenantId_snapshotId: { tenantId: tenant, snapshotId } },
  });
  if (row === null) return undefined;
  const { body } = await tx.datasetContract.findUniqueOrThrow({
    where: { tenantId_contractId: { tenantId: tenant, contractId: row.contractId } },
  });
  return {
    ...snapshotFactsSchema.parse(row.manifest),
    snapshotId,
    state: row.state,
    contractId: row.contractId,
    contract: datasetContractSchema.parse(body),
  };
}
