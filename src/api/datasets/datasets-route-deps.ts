import type { ArtifactRef, ArtifactStore } from '../../domain/artifacts.js';
import type {
  DatasetContractView,
  DatasetView,
  PublicationLimits,
  PublicationOptions,
  PublicationPlan,
  PublicationReject,
  PublicationView,
  PutDataset,
  SnapshotView,
} from '../../domain/datasets/contract.js';
import type { DatasetContract } from '../../domain/datasets/dataset-contract.js';
import type { TableFormat } from '../../domain/datasets/table-format.js';
import type { Caller, Outcome, StartedFacts } from '../../domain/events/change.js';
import type { Page } from '../paging.js';
import type { Links } from '../started.js';

/** Where a page of rejected rows begins: after this broken rule. */
export interface RejectKey {
  row: number;
  field: string;
  rule: string;
}

/** What the endpoints of `datasets` ask for. Lists answer one more than `limit` where there is more. */
export interface DatasetsRouteDeps {
  putDataset: (caller: Caller, name: string, input: PutDataset) => Promise<Outcome<DatasetView>>;
  findDataset: (tenant: string, name: string) => Promise<DatasetView | undefined>;
  listDatasets: (tenant: string, page: Page) => Promise<DatasetView[]>;
  createContract: (
    caller: Caller,
    dataset: string,
    contract: DatasetContract,
  ) => Promise<Outcome<DatasetContractView>>;
  findContract: (
    tenant: string,
    dataset: string,
    contractId: string,
  ) => Promise<DatasetContractView | undefined>;
  listContracts: (tenant: string, dataset: string, page: Page) => Promise<DatasetContractView[]>;
  /** The plan of an upload, before any byte of its file is read. @throws the refusal */
  planPublication: (
    tenant: string,
    asked: { dataset: string; options: PublicationOptions },
  ) => Promise<{ plan: PublicationPlan; contract: DatasetContract }>;
  /** Writes publication and intent; `keep` stores the bytes for good once nothing refuses any more. */
  startPublication: (
    caller: Caller,
    asked: {
      dataset: string;
      options: PublicationOptions;
      source: { digest: string; sizeBytes: number };
      limits: PublicationLimits;
    },
    keep: () => Promise<ArtifactRef>,
  ) => Promise<Outcome<StartedFacts>>;
  findPublication: (tenant: string, publicationId: string) => Promise<PublicationView | undefined>;
  listPublications: (
    tenant: string,
    filter: { dataset?: string | undefined; state?: string | undefined },
    page: Page,
  ) => Promise<PublicationView[]>;
  listRejects: (
    tenant: string,
    filter: { publicationId: string; rule?: string | undefined },
    page: { limit: number; after: RejectKey | undefined },
  ) => Promise<PublicationReject[]>;
  requestCancel: (
    caller: Caller,
    publicationId: string,
    reason: string,
  ) => Promise<Outcome<StartedFacts>>;
  decideQuarantine: (
    caller: Caller,
    publicationId: string,
    asked: { kind: 'release' | 'discard'; reason: string },
  ) => Promise<Outcome<StartedFacts>>;
  findSnapshot: (tenant: string, snapshotId: string) => Promise<SnapshotView | undefined>;
  listSnapshots: (
    tenant: string,
    filter: { dataset?: string | undefined },
    page: Page,
  ) => Promise<SnapshotView[]>;
  artifacts: Pick<ArtifactStore, 'putStaged' | 'keepStaged' | 'dropStaged'>;
  /**
   * Looks at the first rows of a file: how many, and which are ragged.
   * @throws DATASET_EMPTY, DATASET_UNREADABLE
   */
  inspectUpload: (
    ref: ArtifactRef,
    shape: { contract: DatasetContract; format: TableFormat },
  ) => Promise<{ rows: number; raggedRows: readonly number[] }>;
  /** Largest file in bytes. */
  uploadBytes: number;
  /** Time for the whole body of an upload, in milliseconds. */
  uploadDeadlineMs: number;
  /** Thresholds and durations that each publication gets. */
  limits: PublicationLimits;
  links: Links;
}
