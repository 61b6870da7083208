import { isCancellation, proxyActivities } from '@temporalio/workflow';
import type { createCareActivities } from '../../activities/etl/index.js';
import type { CheckCanariesInput, CheckCanariesResult } from '../../domain/etl/due-work.js';
import { authorise } from '../events/authorise.js';
import { trackStatus } from '../events/track-status.js';
import { careOptions } from './care-options.js';
import { codeOf } from './trouble-of.js';

/**
 * Embeds the canary texts and compares them with what the same embedder answered first. One that answers differently
 * pauses the writes of its generations. RUNNING → DONE, DRIFTED, or FAILED where the embedder did not answer.
 */
export async function checkCanaries(input: CheckCanariesInput): Promise<CheckCanariesResult> {
  const move = trackStatus({ state: 'RUNNING', waitingOn: 'nothing' });
  await authorise({ ...input });
  const { tenant, canaryId, generationId } = input;
  const { compareCanaryTexts } = proxyActivities<ReturnType<typeof createCareActivities>>({
    ...careOptions(input.limits),
    summary: `embed the canary texts of ${generationId}`,
  });
  let result: CheckCanariesResult;
  try {
    const { drifted, lowest } = await compareCanaryTexts({ tenant, generationId });
    result = { canaryId, state: drifted ? 'DRIFTED' : 'DONE' };
    move({ state: result.state, waitingOn: 'nothing' }, `lowest cosine ${lowest.toFixed(4)}`);
  } catch (error) {
    if (isCancellation(error)) throw error;
    result = { canaryId, state: 'FAILED', code: codeOf(error) };
    move({ state: 'FAILED', waitingOn: 'nothing' });
  }
  return result;
}
