import { isCancellation, proxyActivities, setCurrentDetails } from '@temporalio/workflow';
import type { createEtlActivities } from '../../activities/etl/index.js';
import {
  addCounts,
  describeCounts,
  noCounts,
  type BatchCounts,
  type IngestBatchInput,
  type IngestBatchResult,
} from '../../domain/etl/contract.js';
import { trackStatus } from '../events/track-status.js';
import { codeOf, troubleOf } from './trouble-of.js';

type Activities = ReturnType<typeof createEtlActivities>;

/** The two steps of a batch, each with its own time. */
function steps({ sourceId, limits }: IngestBatchInput) {
  const options = {
    taskQueue: 'etl',
    scheduleToCloseTimeout: limits.workTimeoutMs,
    heartbeatTimeout: limits.heartbeatTimeoutMs,
    retry: {
      initialInterval: limits.retryIntervalMs,
      backoffCoefficient: 2,
      // What was away for a minute is asked again soon: others wait for the documents of this batch.
      maximumInterval: '15s' as const,
      maximumAttempts: limits.maxAttempts,
    },
  };
  const { prepareBatch } = proxyActivities<Activities>({
    ...options,
    startToCloseTimeout: limits.prepareTimeoutMs,
    summary: `claim, read and chunk from ${sourceId}`,
  });
  const { embedAndWriteBatch } = proxyActivities<Activities>({
    ...options,
    startToCloseTimeout: limits.writeTimeoutMs,
    summary: `embed and write from ${sourceId}`,
  });
  return { prepareBatch, embedAndWriteBatch };
}

/**
 * Applies up to `maxDocuments` changes of a source: claim, read, parse and chunk, then embed, write and commit.
 *
 * Exactly two activities, so a batch is 17 events whatever it holds and however often a step is tried: details are set
 * without an event, and there is no look-up of an intent. A run that nobody authorised can do no more than apply changes
 * that are recorded already; its first step reads the source's row and claims nothing of one that is not active.
 *
 * It never fails on a document, nor on a store that does not answer: the batch keeps its claims, and its result says why
 * it has to be run again.
 */
export async function ingestBatch(input: IngestBatchInput): Promise<IngestBatchResult> {
  const { tenant, sourceId, batchId, limits } = input;
  trackStatus({ state: 'RUNNING', waitingOn: 'nothing' });
  const { prepareBatch, embedAndWriteBatch } = steps(input);
  let counts: BatchCounts = noCounts;
  let left: Pick<IngestBatchResult, 'waiting' | 'held' | 'urgency'> = { waiting: 0 };
  try {
    const { maxDocuments, maxBytes, lingerMs } = limits;
    const claim = { maxDocuments, maxBytes, lingerMs };
    counts = await prepareBatch({ tenant, sourceId, batchId, claim });
    setCurrentDetails(describeCounts(counts));
    const written = await embedAndWriteBatch({ tenant, sourceId, batchId });
    counts = addCounts(counts, written.counts);
    left = { waiting: written.waiting, held: written.held, urgency: written.urgency };
  } catch (error) {
    if (isCancellation(error)) throw error;
    const code = codeOf(error);
    setCurrentDetails(`${describeCounts(counts)}; stopped by ${code}`);
    return { batchId, state: troubleOf(code), counts, ...left, code };
  }
  setCurrentDetails(describeCounts(counts));
  return { batchId, state: 'DONE', counts, ...left };
}
