import { proxyActivities, proxyLocalActivities, sleep } from '@temporalio/workflow';
import type { createInferenceActivities } from '../../activities/inference/index.js';
import { failureOf, isErrorCode } from '../../domain/errors.js';
import type { InferInput, InferOutput } from '../../domain/inference/contract.js';

type Steps = ReturnType<typeof createInferenceActivities>;

// A step that fails has not settled: the store was away. It is waited out; the deadline ends the run, not a count.
const untilTheStoreIsBack = {
  initialInterval: '1s',
  backoffCoefficient: 2,
  maximumInterval: '60s',
} as const;

/** The step as a local activity where it is short, else as an activity on the inference queue. */
function stepsOf(input: InferInput): Pick<Steps, 'inferStep'> {
  const options = { startToCloseTimeout: input.stepTimeoutMs, retry: untilTheStoreIsBack };
  if (input.local) {
    // A retry that waits longer goes through a timer, so that it does not hold the workflow task.
    return proxyLocalActivities<Steps>({ ...options, localRetryThreshold: '500ms' });
  }
  return proxyActivities<Steps>({ ...options, taskQueue: 'inference', heartbeatTimeout: '10s' });
}

/**
 * One inference in the durable lane. Each step re-reads its admitted row, which is the authority for this run, so there
 * is no other start check. A step ends the run or asks for a pause, and the pause is a timer that survives everything.
 * @throws ApplicationFailure whose type is the code that the inference failed with
 */
export async function infer(input: InferInput): Promise<InferOutput> {
  const { inferStep } = stepsOf(input);
  const { tenant, inferenceId } = input;
  for (;;) {
    const result = await inferStep({ tenant, inferenceId });
    if (result.kind === 'wait') {
      await sleep(result.waitMs, { summary: 'before the next attempt' });
      continue;
    }
    if (result.status !== 'SUCCEEDED') {
      const code = isErrorCode(result.code) ? result.code : 'OPERATION_FAILED';
      throw failureOf(code, `the inference ended ${result.status}`, [{ decisionId: inferenceId }]);
    }
    return { decisionId: inferenceId, status: result.status };
  }
}
