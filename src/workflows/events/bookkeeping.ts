import type { ActivityOptions } from '@temporalio/workflow';

/**
 * Reads and writes of facts: they are short and must outlast an outage of the store, so they retry until the store is
 * back. Refusals are non-retryable by their own failure.
 */
export const bookkeeping: ActivityOptions = {
  taskQueue: 'orchestration',
  startToCloseTimeout: '30s',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '30s' },
};

/** Work that may fail for its own reasons: five tries (1 s, doubling, at most 60 s). */
export const fiveTries = {
  initialInterval: '1s',
  backoffCoefficient: 2,
  maximumInterval: '60s',
  maximumAttempts: 5,
} as const;
