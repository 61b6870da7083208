import type { ChangePriority, SourceFacts } from '../../domain/etl/ledger.js';
import type { ScanStanding } from '../../domain/etl/scan.js';
import { workflowCaller } from '../run-of.js';
import { createCompactSink } from './compact-sink.js';
import { createEmbedAndWriteBatch } from './embed-and-write-batch.js';
import type { EtlDeps } from './etl-deps.js';
import { keepClaims } from './keep-claims.js';
import { createListSourcePage } from './list-source-page.js';
import { createPrepareBatch } from './prepare-batch.js';
import { createReconcileSlice } from './reconcile-slice.js';
import { recordSourceDeletions } from './record-source-deletions.js';
import { createShardLeases, type ShardLeases } from './shard-leases.js';

export { createReembedActivities } from './reembed-activities.js';
export type { ReembedDeps } from './reembed-deps.js';
export { createShardLeases } from './shard-leases.js';
export { createCareActivities } from './create-care-activities.js';
export { leaseRate, tokenBound } from './lease-rate.js';
export { observeEtl } from './observe-etl.js';
export type { EtlObserver } from './etl-observer.js';
export { withCompanion } from './with-companion.js';
export { withRows } from './with-rows.js';
export type { EtlDeps, Scrubber } from './etl-deps.js';

/** What a watcher acts on. A source without a row counts as DELETED, one that has changes to apply does not yet. */
export interface WatchFacts {
  state: SourceFacts['state'];
  /** Changes that a batch could claim now. */
  pending: number;
  /** Changes that wait for a document which somebody holds. */
  held?: number | undefined;
  /** Batches that hold documents, whether somebody runs them or not. */
  holders?: string[] | undefined;
  oldestMs: number;
  urgency?: ChangePriority | undefined;
}

/** Names a scan of a tenant. */
interface ScanKey {
  tenant: string;
  scanId: string;
}

/**
 * Activities of `etl`. `prepareBatch`, `embedAndWriteBatch`, `listSourcePage`, `reconcileSlice` and `compactSink` run on
 * queue `etl`; the others are bookkeeping.
 * @param leases of this process, where other activities write too: one process is one owner
 */
export const createEtlActivities = (
  deps: EtlDeps,
  { withEpoch }: ShardLeases = createShardLeases(deps),
) => {
  return {
    prepareBatch: createPrepareBatch(deps),
    embedAndWriteBatch: createEmbedAndWriteBatch(deps, withEpoch),
    /** Clears the wake of a source and answers what is due; a source that goes ends where nothing is. */
    readWatch: async (key: { tenant: string; sourceId: string }): Promise<WatchFacts> => {
      const { tenant, sourceId } = key;
      const source = await deps.ledger.findSource(tenant, sourceId);
      if (source === undefined) return { state: 'DELETED', pending: 0, oldestMs: 0 };
      const { state } = source;
      if (state === 'DELETING') await recordSourceDeletions(deps, key);
      const due = await deps.ledger.backlog(tenant, sourceId);
      if (state !== 'DELETING' && state !== 'DELETED') return { state, ...due };
      const isOver = async () =>
        state === 'DELETED' || (await deps.ledger.endSource(workflowCaller(tenant), sourceId));
      const hasEnded = due.pending + due.held === 0 && (await isOver());
      return { state: hasEnded ? 'DELETED' : 'DELETING', ...due };
    },
    /** ACTIVE → PAUSED: only someone who changes a setting can help. */
    pauseSource: (of: { tenant: string; sourceId: string; code: string }): Promise<void> =>
      deps.pauseSource(workflowCaller(of.tenant), of.sourceId, of.code),
    listSourcePage: createListSourcePage(deps),
    /** Turns a finished listing into changes, unless it would delete so much that a person has to look. */
    applyScan: (of: ScanKey & { minDeletes: number; decisionMs: number }): Promise<ScanStanding> =>
      keepClaims(
        async () => undefined,
        async () => {
          const { tenant, scanId, minDeletes, decisionMs } = of;
          await deps.failpoint?.('etl.k14');
          return deps.scans.applyScan(workflowCaller(tenant), scanId, { minDeletes, decisionMs });
        },
      ),
    /** A listing that could not be finished deletes nothing. */
    failScan: ({ tenant, scanId, code }: ScanKey & { code: string }): Promise<void> =>
      deps.scans.failScan(workflowCaller(tenant), scanId, code),
    reconcileSlice: createReconcileSlice(deps, withEpoch),
    /** RUNNING → DONE or FAILED. */
    settleReconcile: (of: {
      tenant: string;
      reconcileId: string;
      state: 'DONE' | 'FAILED';
      code?: string | undefined;
    }): Promise<void> => {
      const { tenant, reconcileId, state, code } = of;
      return deps.reconciles.settleReconcile(workflowCaller(tenant), reconcileId, { state, code });
    },
    compactSink: createCompactSink(deps, withEpoch),
  };
};
