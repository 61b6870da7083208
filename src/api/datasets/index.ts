import type { Route } from '../route.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';
import { getDataset } from './get-dataset.js';
import { getDatasetContract } from './get-dataset-contract.js';
import { getDatasetContracts } from './get-dataset-contracts.js';
import { getDatasets } from './get-datasets.js';
import { getPublication } from './get-publication.js';
import { getPublicationQuarantine } from './get-publication-quarantine.js';
import { getPublications } from './get-publications.js';
import { getSnapshot } from './get-snapshot.js';
import { getSnapshots } from './get-snapshots.js';
import { postDatasetContracts } from './post-dataset-contracts.js';
import { postDatasetSnapshots } from './post-dataset-snapshots.js';
import { postPublicationCancel } from './post-publication-cancel.js';
import { postPublicationDiscard } from './post-publication-discard.js';
import { postPublicationRelease } from './post-publication-release.js';
import { putDataset } from './put-dataset.js';

export type { DatasetsRouteDeps } from './datasets-route-deps.js';

/** The endpoints of `datasets`. */
export const datasetsRoutes = (deps: DatasetsRouteDeps): Route[] => [
  putDataset(deps),
  getDataset(deps),
  getDatasets(deps),
  postDatasetContracts(deps),
  getDatasetContract(deps),
  getDatasetContracts(deps),
  postDatasetSnapshots(deps),
  getPublication(deps),
  getPublications(deps),
  getPublicationQuarantine(deps),
  postPublicationRelease(deps),
  postPublicationDiscard(deps),
  postPublicationCancel(deps),
  getSnapshot(deps),
  getSnapshots(deps),
];
