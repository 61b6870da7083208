import { proxyLocalActivities } from '@temporalio/workflow';
import type { createInferenceActivities } from '../../activities/inference/index.js';
import type { InferShadowInput } from '../../domain/inference/contract.js';

/**
 * One sampled decision, asked of a shadow's candidate after the caller has its answer. Its only step checks the intent
 * of this run first. Pairs are evidence, not duty: a step that keeps failing is given up after an hour.
 */
export async function inferShadow(input: InferShadowInput): Promise<{ written: boolean }> {
  const { inferShadowStep } = proxyLocalActivities<ReturnType<typeof createInferenceActivities>>({
    startToCloseTimeout: input.timeoutMs + 10_000,
    scheduleToCloseTimeout: '1h',
    localRetryThreshold: '500ms',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '60s' },
  });
  return inferShadowStep(input);
}
