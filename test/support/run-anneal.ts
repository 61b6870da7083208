import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { childEnv } from '../../src/config.js';
import type { StackEnv } from './stack.js';

const root = new URL('../..', import.meta.url).pathname;

/** Runs the command line as a person does; its exit code and what it printed. */
export async function runAnneal(
  env: StackEnv,
  ...args: string[]
): Promise<{ code: number; out: string; err: string }> {
  const run = promisify(execFile)(
    process.execPath,
    [join(root, 'scripts/anneal.mjs'), ...args, '--output', 'json'],
    { cwd: root, env: { ...childEnv(env), NODE_OPTIONS: '' }, maxBuffer: 16 << 20 },
  );
  return run.then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
      code,
      out: stdout,
      err: stderr,
    }),
  );
}
