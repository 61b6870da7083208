import type { SnapshotManifest } from '../../domain/datasets/contract.js';
import type {
  PublicationFacts,
  Publishing,
  SubjectCount,
} from '../../domain/datasets/publication-facts.js';
import type { MergeResult, StageResult } from '../../domain/datasets/staging.js';
import { workflowCaller } from '../run-of.js';
import type { DatasetsDeps } from './datasets-deps.js';
import { keepBeating } from './keep-beating.js';
import { stageInputOf } from './stage-publication.js';

export interface PublishRowsInput {
  tenant: string;
  publicationId: string;
  partRows: number;
}

/** How many rows of each part are about which subject; empty without a subject key. */
async function countSubjects(
  deps: DatasetsDeps,
  facts: PublicationFacts,
  parts: MergeResult['parts'],
): Promise<SubjectCount[]> {
  if (facts.contract.subjectKeyField === undefined) return [];
  const counts: SubjectCount[] = [];
  for (const [part, stored] of parts.entries()) {
    const rows = new Map<string, number>();
    for await (const batch of deps.readParts([stored])) {
      for (const { subjectToken } of batch)
        if (subjectToken !== null) rows.set(subjectToken, (rows.get(subjectToken) ?? 0) + 1);
    }
    for (const [subjectToken, count] of rows) counts.push({ subjectToken, part, rows: count });
  }
  return counts;
}

const manifestOf = (
  { plan }: PublicationFacts,
  staged: StageResult,
  merged: MergeResult,
): SnapshotManifest => {
  const { rows, parts, profileRef, profileSha256, binsRef, binsSha256 } = merged;
  return {
    rows,
    rejected: staged.rejected,
    parts,
    purposes: [...plan.purposes].sort(),
    legalBasis: plan.legalBasis,
    consentAsOf: null,
    sourceDigest: staged.sourceDigest,
    profileRef,
    profileSha256,
    binsRef,
    binsSha256,
    parentSnapshotIds: [],
    quarantine: staged.quarantine,
  };
};

/**
 * Merges the staged rows into parts and publishes the snapshot; the staging area goes once the manifest is committed.
 * A repeat finds the parts that are written, and a snapshot that is published.
 */
export const createPublishRows =
  (deps: DatasetsDeps) =>
  ({ tenant, publicationId, partRows }: PublishRowsInput): Promise<Publishing> =>
    keepBeating(async ({ note, signal }) => {
      const caller = workflowCaller(tenant);
      const before = await deps.publications.findPublished(tenant, publicationId);
      if (before !== undefined) {
        await deps.dropStaged(tenant, publicationId);
        return { kind: 'PUBLISHED', snapshotId: before };
      }
      const facts = await deps.publications.enterStage(caller, publicationId, 'STAGED');
      const { contract, plan } = facts;
      const tokenise = await deps.tokeniser(tenant);
      const beat = { heartbeat: note, signal };
      const staged = await deps.stageRows(stageInputOf(tenant, facts), { tokenise, ...beat });
      const merged = await deps.mergeRuns(
        {
          tenantId: tenant,
          scope: publicationId,
          contract,
          purposes: plan.purposes,
          legalBasis: plan.legalBasis,
          pii: plan.pii,
          runs: staged.runs,
          partRows,
        },
        beat,
      );
      const published = await deps.publications.publishSnapshot(caller, publicationId, {
        snapshotId: merged.snapshotId,
        manifest: manifestOf(facts, staged, merged),
        subjects: await countSubjects(deps, facts, merged.parts),
      });
      if (published.kind === 'PUBLISHED') await deps.dropStaged(tenant, publicationId);
      return published;
    });
