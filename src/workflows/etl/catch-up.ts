import { isCancellation, proxyActivities } from '@temporalio/workflow';
import { addSlices, type SliceCounts } from '../../domain/etl/reembed-contract.js';
import { careOptions } from './care-options.js';
import { newBatchId } from './new-batch-id.js';
import {
  isFull,
  lookAt,
  rest,
  showReembed,
  type ReembedActivities,
  type ReembedRun,
} from './reembed-run.js';

/** One slice; undefined where store or embedder did not answer for all of its tries. */
async function runSlice(run: ReembedRun, generationId: string): Promise<SliceCounts | undefined> {
  const { tenant, limits } = run.input;
  run.slices += 1;
  run.slicesHere += 1;
  const { backfillSlice } = proxyActivities<ReembedActivities>({
    ...careOptions(limits.step),
    priority: { priorityKey: 5, fairnessKey: tenant },
    summary: `slice ${run.slices}: up to ${limits.sliceDocuments} documents`,
  });
  const slice = { tenant, generationId, batchId: newBatchId() };
  try {
    return await backfillSlice({ ...slice, maxDocuments: limits.sliceDocuments });
  } catch (error) {
    if (isCancellation(error)) throw error;
    return undefined;
  }
}

/**
 * One round: slices until nothing is left that nobody holds, at most `window` at once. Trouble halves the window, a
 * clean slice widens it by one.
 * @returns documents that were written
 */
export async function runSlices(
  run: ReembedRun,
  of: { generationId: string; lagging: number; state: string },
): Promise<number> {
  const { limits } = run.input;
  const most = Math.ceil(of.lagging / limits.sliceDocuments);
  let started = 0;
  let written = 0;
  let over = false;
  const lane = async (): Promise<void> => {
    while (!over && started < most && !isFull(run)) {
      started += 1;
      const counts = await runSlice(run, of.generationId);
      if (counts === undefined) {
        over = true;
        run.window = Math.max(1, Math.floor(run.window / 2));
        return;
      }
      run.window = Math.min(limits.window, run.window + 1);
      run.counts = addSlices(run.counts, counts);
      written += counts.written;
      showReembed(run, of);
      // What is left is held by others, or has no vector: another slice at once would find the same.
      if (counts.written === 0) over = true;
    }
  };
  await Promise.all(Array.from({ length: Math.min(run.window, most) }, lane));
  return written;
}

/**
 * Brings the new generation up to the live one, from stored text. Documents that others hold, or that the embedder has
 * no vector for, are tried again after a rest; a person may end it by a decision to drop.
 */
export async function catchUp(run: ReembedRun): Promise<'CAUGHT_UP' | 'FULL' | 'DROP'> {
  const state = 'BUILDING';
  run.move({ state, waitingOn: 'nothing' });
  for (;;) {
    const { state: found, lagging, decision } = await lookAt(run, state);
    if (decision === 'drop' || found !== 'BUILDING') return 'DROP';
    if (lagging === 0) return 'CAUGHT_UP';
    if (isFull(run)) return 'FULL';
    const { generationId } = run.input;
    const written = await runSlices(run, { generationId, lagging, state });
    if (written > 0) run.idle = 0;
    else if (!isFull(run)) await rest(run);
  }
}
