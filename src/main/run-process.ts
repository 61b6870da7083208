/* eslint-disable no-restricted-properties -- this file is the stop sequence that everyone else is told to use */
import { ConfigError } from '../config.js';
import { PlatformError } from '../domain/errors.js';

/** A started process: how to stop it, and a promise that rejects if it dies by itself. */
export interface Running {
  stop: () => Promise<void>;
  failed?: Promise<never>;
}

/** EX_CONFIG: the configuration or the schema is refused; a supervisor must not retry at once. */
const EXIT_REFUSED = 78;

/**
 * Runs a composition root until SIGTERM or SIGINT: the first asks for an orderly stop, the second ends the process.
 * Exit codes: 0 stopped, 78 refused to start (every reason printed), 1 anything else.
 */
export async function runProcess(name: string, start: () => Promise<Running>): Promise<void> {
  // As `--disable-proto=delete`, however the process was started: no key of a request leads to a prototype.
  Reflect.deleteProperty(Object.prototype, '__proto__');
  let signals = 0;
  const asked = new Promise<void>((resolve) => {
    const onSignal = () => {
      signals += 1;
      if (signals > 1) process.exit(130);
      resolve();
    };
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
    // A supervisor that goes away closes the channel; without it nobody would stop us.
    process.on('disconnect', onSignal);
  });
  try {
    const running = await start();
    process.send?.({ ready: true });
    await Promise.race([asked, ...(running.failed === undefined ? [] : [running.failed])]);
    await running.stop();
    process.exit(0);
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    const refused =
      error instanceof ConfigError ||
      (error instanceof PlatformError && error.code === 'SCHEMA_MISMATCH');
    if (!refused && error instanceof Error) console.error(error.stack);
    process.exit(refused ? EXIT_REFUSED : 1);
  }
}
