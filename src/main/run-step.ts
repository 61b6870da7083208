import { ConfigError } from '../config.js';

/** EX_CONFIG, as the serving processes use it: trying again changes nothing. */
const EXIT_REFUSED = 78;

/**
 * Runs a composition root that does one thing and ends. Exit codes: 0 done, 78 the configuration is refused (every
 * reason printed), 1 anything else.
 */
export async function runStep(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = error instanceof ConfigError ? EXIT_REFUSED : 1;
  }
}
