import type {
  Admission,
  PublicationEnd,
  PublicationOutcome,
  QuarantineStanding,
} from '../../domain/datasets/publication-facts.js';
import { workflowCaller } from '../run-of.js';
import type { DatasetsDeps } from './datasets-deps.js';
import { createPublishRows } from './publish-rows.js';
import { createStagePublication } from './stage-publication.js';

export type { DatasetsDeps } from './datasets-deps.js';

/** Names a publication of a tenant. */
interface PublicationKey {
  tenant: string;
  publicationId: string;
}

/** Activities of `datasets`. `stagePublication` and `publishRows` run on queue `etl`, the others are bookkeeping. */
export const createDatasetsActivities = (deps: DatasetsDeps) => ({
  /** RECEIVED → PROFILING, unless someone cancelled. */
  beginPublication: ({ tenant, publicationId }: PublicationKey): Promise<Admission> =>
    deps.publications.beginPublication(workflowCaller(tenant), publicationId),
  stagePublication: createStagePublication(deps),
  /** STAGED → QUARANTINED; answers how the batch stands. */
  quarantinePublication: async ({
    tenant,
    publicationId,
    quarantineMs,
  }: PublicationKey & { quarantineMs: number }): Promise<QuarantineStanding> => {
    const caller = workflowCaller(tenant);
    await deps.publications.quarantine(caller, publicationId, quarantineMs);
    return deps.publications.checkQuarantine(caller, publicationId);
  },
  /** Looks for a decision, a cancellation, or the end of the time. */
  checkQuarantine: ({ tenant, publicationId }: PublicationKey): Promise<QuarantineStanding> =>
    deps.publications.checkQuarantine(workflowCaller(tenant), publicationId),
  publishRows: createPublishRows(deps),
  /** True where someone asked to cancel the publication. */
  isPublicationCancelled: ({ tenant, publicationId }: PublicationKey): Promise<boolean> =>
    deps.publications.isCancelRequested(tenant, publicationId),
  /** Ends a publication without a snapshot and removes its staged rows; answers how it has ended. */
  settlePublication: async ({
    tenant,
    publicationId,
    end,
  }: PublicationKey & { end: PublicationEnd }): Promise<PublicationOutcome> => {
    const caller = workflowCaller(tenant);
    const outcome = await deps.publications.settlePublication(caller, publicationId, end);
    await deps.dropStaged(tenant, publicationId);
    return outcome;
  },
});
