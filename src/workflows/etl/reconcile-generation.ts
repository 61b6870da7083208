import { isCancellation, proxyActivities, setCurrentDetails } from '@temporalio/workflow';
import type { createEtlActivities } from '../../activities/etl/index.js';
import type {
  ReconcileCounts,
  ReconcileGenerationInput,
  ReconcileGenerationResult,
} from '../../domain/etl/contract.js';
import { authorise } from '../events/authorise.js';
import { bookkeeping } from '../events/bookkeeping.js';
import { trackStatus } from '../events/track-status.js';
import { careOptions } from './care-options.js';
import { codeOf } from './trouble-of.js';

type Activities = ReturnType<typeof createEtlActivities>;
const { settleReconcile } = proxyActivities<Activities>(bookkeeping);

const add = (a: ReconcileCounts, b: ReconcileCounts): ReconcileCounts => ({
  rows: a.rows + b.rows,
  orphans: a.orphans + b.orphans,
  missing: a.missing + b.missing,
  stale: a.stale + b.stale,
});

/**
 * Compares a generation's store with its manifests, slice by slice, and puts right what differs. A slice is repeated as a
 * whole; what it has put right it does not find again.
 *
 * RUNNING → DONE, or FAILED where store or embedder did not answer for long; the next run begins from the start.
 */
export async function reconcileGeneration(
  input: ReconcileGenerationInput,
): Promise<ReconcileGenerationResult> {
  const move = trackStatus({ state: 'RUNNING', waitingOn: 'nothing' });
  await authorise({ ...input });
  const { tenant, reconcileId, generationId, slices } = input;
  let counts: ReconcileCounts = { rows: 0, orphans: 0, missing: 0, stale: 0 };
  let code: string | undefined;
  try {
    for (let index = 0; index < slices; index++) {
      const { reconcileSlice } = proxyActivities<Activities>({
        ...careOptions(input.limits),
        summary: `slice ${index + 1} of ${slices}`,
      });
      const slice = { index, of: slices };
      counts = add(counts, await reconcileSlice({ tenant, reconcileId, generationId, slice }));
      const { rows, orphans, missing, stale } = counts;
      setCurrentDetails(
        `| rows | orphans | missing | stale |\n|---|---|---|---|\n| ${rows} | ${orphans} | ${missing} | ${stale} |`,
      );
    }
  } catch (error) {
    if (isCancellation(error)) throw error;
    code = codeOf(error);
  }
  const state = code === undefined ? 'DONE' : 'FAILED';
  await settleReconcile({ tenant, reconcileId, state, code });
  move({ state, waitingOn: 'nothing' });
  return { reconcileId, state, ...counts, ...(code === undefined ? {} : { code }) };
}
