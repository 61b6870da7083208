import { ApplicationFailure } from '@temporalio/common';
import type { Logger, LogLevel, LogMetadata } from '@temporalio/worker';
import type { createLog } from './log.js';

// Of what the engine and the workflows' own logger hand over, these are written; the rest may be input.
const SHOWN = [
  'activityId',
  'activityType',
  'attempt',
  'durationMs',
  'namespace',
  'requestId',
  'runId',
  'sdkComponent',
  'taskQueue',
  'workflowId',
  'workflowType',
];
const MAX_REASON = 300;

const shown = (meta: LogMetadata | undefined): Record<string, unknown> => {
  const given = (meta ?? {}) as Record<string, unknown>;
  const error = given.error;
  return {
    ...Object.fromEntries(SHOWN.filter((name) => name in given).map((name) => [name, given[name]])),
    ...(typeof given.trace_id === 'string' ? { traceId: given.trace_id } : {}),
    ...(error instanceof ApplicationFailure ? { code: error.type } : {}),
    ...(error instanceof Error
      ? { reason: `${error.name}: ${error.message}`.slice(0, MAX_REASON) }
      : {}),
  };
};

const levels = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
} as const satisfies Record<LogLevel, string>;

/** Temporal's own log as lines of the process's log. */
export function createRuntimeLogger(log: ReturnType<typeof createLog>): Logger {
  const write = (level: LogLevel, message: string, meta?: LogMetadata): void =>
    log[levels[level]](shown(meta), message);
  return {
    log: write,
    trace: (message, meta) => write('TRACE', message, meta),
    debug: (message, meta) => write('DEBUG', message, meta),
    info: (message, meta) => write('INFO', message, meta),
    warn: (message, meta) => write('WARN', message, meta),
    error: (message, meta) => write('ERROR', message, meta),
  };
}
