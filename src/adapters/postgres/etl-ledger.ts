import type { Ledger } from '../../domain/etl/ledger.js';
import { createEtlBackfills } from './etl-backfills.js';
import { createEtlBacklog } from './etl-backlog.js';
import { createEtlChanges } from './etl-changes.js';
import { createEtlClaims } from './etl-claims.js';
import { createEtlCommitChecks } from './etl-commit-checks.js';
import { createEtlCommits } from './etl-commits.js';
import { createEtlCopies } from './etl-copies.js';
import { createFreshRevisions } from './etl-fresh-revisions.js';
import { createEtlIntents } from './etl-intents.js';
import { createEtlNearDuplicates } from './etl-near-duplicates.js';
import type { LedgerParts } from './etl-rows.js';
import { createEtlSameBytes } from './etl-same-bytes.js';
import { createSourceDeletions, createSourceEnds } from './etl-source-ends.js';
import { createEtlSettlements } from './etl-settlements.js';
import { createEtlWrites } from './etl-writes.js';

/** The write ledger of etl.md §5 in Postgres: a few statements a batch, however many documents it holds. */
export function createEtlLedger(parts: LedgerParts): Ledger {
  const fresh = createFreshRevisions();
  return {
    ...createEtlBackfills(parts),
    ...createEtlBacklog(parts),
    ...createEtlChanges(parts),
    deleteSourcePage: createSourceDeletions(parts.db),
    endSource: createSourceEnds(parts.db),
    ...createEtlClaims(parts),
    ...createEtlIntents(parts, fresh),
    ...createEtlWrites(parts, fresh),
    ...createEtlCommits(parts),
    ...createEtlCommitChecks(parts),
    ...createEtlSettlements(parts),
    ...createEtlCopies(parts),
    ...createEtlNearDuplicates(parts),
    ...createEtlSameBytes(parts),
  };
}
