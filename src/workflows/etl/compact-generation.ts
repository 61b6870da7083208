import { proxyActivities } from '@temporalio/workflow';
import type { createEtlActivities } from '../../activities/etl/index.js';
import type { CompactGenerationInput, CompactGenerationResult } from '../../domain/etl/contract.js';
import { authorise } from '../events/authorise.js';
import { trackStatus } from '../events/track-status.js';
import { careOptions } from './care-options.js';

/** Tidies a generation's store where the store asks for it: RUNNING → COMPACTED or SKIPPED. */
export async function compactGeneration(
  input: CompactGenerationInput,
): Promise<CompactGenerationResult> {
  const move = trackStatus({ state: 'RUNNING', waitingOn: 'nothing' });
  await authorise({ ...input });
  const { tenant, compactionId, generationId } = input;
  const { compactSink } = proxyActivities<ReturnType<typeof createEtlActivities>>({
    ...careOptions(input.limits),
    summary: `compact ${generationId}`,
  });
  const { compacted, rows } = await compactSink({ tenant, generationId });
  const state = compacted ? 'COMPACTED' : 'SKIPPED';
  move({ state, waitingOn: 'nothing' });
  return { compactionId, state, rows };
}
