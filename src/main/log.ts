import { pino, type Logger } from 'pino';
import type { Config } from '../config.js';
import { currentRequestId } from '../activities/request-id.js';
import { activeTraceId } from './telemetry.js';

// Whatever a log call is handed, these never leave the process.
const SECRET_PATHS = ['authorization', 'key', 'secret', 'password', 'apiKey', 'token'].flatMap(
  (name) => [name, `*.${name}`],
);

/** What a line is part of: the request that began the work, and the trace. */
function mixin(): { requestId?: string; traceId?: string } {
  const requestId = currentRequestId();
  const traceId = activeTraceId();
  return {
    ...(requestId === undefined ? {} : { requestId }),
    ...(traceId === undefined ? {} : { traceId }),
  };
}

/** The process's logger: JSON lines, secrets redacted, times in ISO 8601, each with its request and trace. */
export const createLog = (config: Pick<Config, 'logLevel'>, process: string): Logger =>
  pino({
    level: config.logLevel,
    base: { process },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: SECRET_PATHS, censor: '[redacted]' },
    mixin,
  });
