import { CommanderError } from 'commander';
import { UnreachableError } from './call-api.js';
import type { CliDeps } from './cli-deps.js';
import { createProgram } from './create-program.js';
import { UsageError } from './usage-error.js';

/** What commander throws after it has shown help or the version that was asked for. */
const shown = new Set(['commander.helpDisplayed', 'commander.version']);

/**
 * Runs one command line.
 * @param args behind `anneal`
 * @returns the exit code: 0 done, 1 refused or failed, 2 used wrongly
 */
export async function runCli(args: readonly string[], deps: CliDeps): Promise<number> {
  let code = 0;
  try {
    await createProgram(deps, (finished) => {
      code = finished;
    }).parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    // Commander has written its own message already.
    if (error instanceof CommanderError) return shown.has(error.code) ? 0 : 2;
    if (error instanceof UsageError) {
      deps.io.err(error.message);
      return 2;
    }
    if (error instanceof UnreachableError) {
      deps.io.err(`${error.message}\n  next: start it with \`npm start\`, or give --api-url.`);
      return 1;
    }
    throw error;
  }
}
