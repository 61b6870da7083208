import { pino, type Logger } from 'pino';
import type { Config } from '../config.js';

// Whatever a log call is handed, these never leave the process.
const SECRET_PATHS = ['authorization', 'key', 'secret', 'password', 'apiKey', 'token'].flatMap(
  (name) => [name, `*.${name}`],
);

/** The process's logger: JSON lines, secrets redacted, times in ISO 8601. */
export const createLog = (config: Pick<Config, 'logLevel'>, process: string): Logger =>
  pino({
    level: config.logLevel,
    base: { process },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: SECRET_PATHS, censor: '[redacted]' },
  });
