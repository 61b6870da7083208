import { CancellationScope, isCancellation, proxyActivities } from '@temporalio/workflow';
import type { createReembedActivities } from '../../activities/etl/index.js';
import type { FitEmbedderInput, FitEmbedderResult } from '../../domain/etl/reembed-contract.js';
import { authorise } from '../events/authorise.js';
import { bookkeeping } from '../events/bookkeeping.js';
import { trackStatus } from '../events/track-status.js';
import { careOptions } from './care-options.js';
import { codeOf } from './trouble-of.js';

type Activities = ReturnType<typeof createReembedActivities>;
const { failFit } = proxyActivities<Activities>(bookkeeping);

/**
 * Fits an embedder on the stored text of a collection, in a process of its own, and opens the generation that it was
 * fitted for. A repeated fit of the same text gives the same artifact.
 *
 * RUNNING → DONE, or FAILED where there is nothing to fit on or the process failed.
 */
export async function fitEmbedder(input: FitEmbedderInput): Promise<FitEmbedderResult> {
  const move = trackStatus({ state: 'RUNNING', waitingOn: 'nothing' });
  await authorise({ ...input });
  const { tenant, fitId, maxTexts } = input;
  const { fitTexts } = proxyActivities<Activities>({
    ...careOptions(input.limits),
    priority: { priorityKey: 5, fairnessKey: tenant },
    summary: `fit ${fitId}`,
  });
  let code: string | undefined;
  try {
    const { texts, terms, bytes } = await fitTexts({ tenant, fitId, maxTexts });
    move(
      { state: 'DONE', waitingOn: 'nothing' },
      `| texts | terms | bytes |\n|---|---|---|\n| ${texts} | ${terms} | ${bytes} |`,
    );
    return { fitId, state: 'DONE' };
  } catch (error) {
    if (isCancellation(error)) {
      // A fit that nobody settles would stand as running for ever.
      await CancellationScope.nonCancellable(() => failFit({ tenant, fitId, code: 'CANCELLED' }));
      move({ state: 'FAILED', waitingOn: 'nothing' });
      throw error;
    }
    code = codeOf(error);
  }
  await failFit({ tenant, fitId, code });
  move({ state: 'FAILED', waitingOn: 'nothing' });
  return { fitId, state: 'FAILED', code };
}
