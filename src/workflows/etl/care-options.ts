import type { ActivityOptions } from '@temporalio/workflow';
import type { CareLimits } from '../../domain/etl/contract.js';

/** How steps over a whole store are tried. */
export const careOptions = (limits: CareLimits): ActivityOptions => ({
  taskQueue: 'etl',
  startToCloseTimeout: limits.stepTimeoutMs,
  scheduleToCloseTimeout: limits.workTimeoutMs,
  heartbeatTimeout: limits.heartbeatTimeoutMs,
  retry: {
    initialInterval: limits.retryIntervalMs,
    backoffCoefficient: 2,
    maximumInterval: '60s',
    maximumAttempts: limits.maxAttempts,
  },
});
