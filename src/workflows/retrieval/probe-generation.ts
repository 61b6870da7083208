import { isCancellation, proxyActivities } from '@temporalio/workflow';
import type { createProbeActivities } from '../../activities/retrieval/index.js';
import type { ProbeGenerationInput, ProbeGenerationResult } from '../../domain/etl/due-work.js';
import { careOptions } from '../etl/care-options.js';
import { codeOf } from '../etl/trouble-of.js';
import { authorise } from '../events/authorise.js';
import { trackStatus } from '../events/track-status.js';

/**
 * Asks a generation's index and exact search the same stored vectors, and keeps how much of the exact answer the index
 * found. RUNNING → DONE, SKIPPED where there is nothing to ask about, or FAILED where the store did not answer.
 */
export async function probeGeneration(input: ProbeGenerationInput): Promise<ProbeGenerationResult> {
  const move = trackStatus({ state: 'RUNNING', waitingOn: 'nothing' });
  await authorise({ ...input });
  const { tenant, probeId, generationId } = input;
  const { measureRecall } = proxyActivities<ReturnType<typeof createProbeActivities>>({
    ...careOptions(input.limits),
    summary: `index against exact search in ${generationId}`,
  });
  let result: ProbeGenerationResult;
  try {
    const measured = await measureRecall({ tenant, generationId });
    result =
      measured === null
        ? { probeId, state: 'SKIPPED' }
        : { probeId, state: 'DONE', recallBp: measured.recallBp };
    const details =
      measured === null
        ? 'no rows'
        : `recall@10 ${(measured.recallBp / 100).toFixed(2)} % over ${measured.asked} vectors; ` +
          `${measured.lowInARow} below 95 % in a row`;
    move({ state: result.state, waitingOn: 'nothing' }, details);
  } catch (error) {
    if (isCancellation(error)) throw error;
    result = { probeId, state: 'FAILED', code: codeOf(error) };
    move({ state: 'FAILED', waitingOn: 'nothing' });
  }
  return result;
}
