import { proxyActivities, sleep } from '@temporalio/workflow';
import { bookkeeping } from '../events/bookkeeping.js';
import { careOptions } from './care-options.js';
import { runSlices } from './catch-up.js';
import {
  isFull,
  showReembed,
  waitForWake,
  type ReembedActivities,
  type ReembedRun,
} from './reembed-run.js';

const { settleHolds } = proxyActivities<ReembedActivities>(bookkeeping);

/** Removes the stores of dropped generations, once no writer can live that knew them. */
export async function removeStores(run: ReembedRun, generationIds: readonly string[]) {
  const { tenant, limits } = run.input;
  if (generationIds.length === 0) return;
  await sleep(limits.drainMs, { summary: 'until no writer knows it' });
  for (const generationId of generationIds) {
    const { dropStore } = proxyActivities<ReembedActivities>({
      ...careOptions(limits.step),
      summary: `remove ${generationId}`,
    });
    await dropStore({ tenant, generationId });
  }
}

/**
 * Keeps the generation before, written like the live one, until its time is over: a rollback needs nothing but the flip.
 * After a rollback it is the new one that is held. Ends when neither is held any more.
 */
export async function holdGeneration(
  run: ReembedRun,
  previousId: string | undefined,
): Promise<'OVER' | 'FULL'> {
  const { tenant, generationId, limits } = run.input;
  const generationIds = previousId === undefined ? [generationId] : [generationId, previousId];
  const state = 'HOLDING';
  for (;;) {
    run.woken = false;
    const { held, dropped } = await settleHolds({ tenant, generationIds });
    await removeStores(run, dropped);
    if (held.length === 0) return 'OVER';
    if (isFull(run)) return 'FULL';
    const leftMs = Math.min(limits.lookMs, ...held.map((one) => one.leftMs));
    run.move({ state, waitingOn: 'nothing', nextAtMs: Date.now() + leftMs });
    const behind = held.find(({ lagging }) => lagging > 0);
    showReembed(run, { state, lagging: behind?.lagging ?? 0 });
    if (behind !== undefined) await runSlices(run, { ...behind, state });
    await waitForWake(run, leftMs);
  }
}
