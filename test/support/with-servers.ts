import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { childEnv, loadConfig } from '../../src/config.js';
import type { TestServers } from './servers/test-servers.js';

const root = new URL('../..', import.meta.url).pathname;

interface Command {
  command: string;
  args: string[];
  env: Record<string, string>;
  /** An open file that takes what it prints; here by default. */
  output?: number | undefined;
}

/** Runs a command to its end and answers its exit code. */
export const run = ({ command, args, env, output }: Command): Promise<number> =>
  new Promise((resolve, reject) => {
    const out = output ?? 'inherit';
    const child = spawn(command, args, { cwd: root, stdio: ['inherit', out, out], env });
    const forward = (signal: NodeJS.Signals) => child.kill(signal);
    process.on('SIGINT', forward).on('SIGTERM', forward);
    child.once('error', reject);
    child.once('exit', (code) => {
      process.off('SIGINT', forward).off('SIGTERM', forward);
      resolve(code ?? 1);
    });
  });

/** Runs jest with these arguments and answers its exit code. */
export const jest = (
  args: string[],
  env: Record<string, string>,
  output?: number,
): Promise<number> =>
  run({
    command: process.execPath,
    args: ['--import', 'tsx', '--no-warnings', 'node_modules/jest/bin/jest.js', ...args],
    env,
    output,
  });

/** Starts the servers, hands their addresses to `work`, and stops them whatever happens. */
export async function withServers(
  work: (env: Record<string, string>) => Promise<number>,
): Promise<number> {
  // The SDK takes seconds to load: the quick loop does without it.
  const [{ obtainWorkflowBundles }, { startTestServers }] = await Promise.all([
    import('../../src/main/bundle-cache.js'),
    import('./servers/test-servers.js'),
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'anneal-test-'));
  // Started by root, Postgres runs as another account and has to search this folder.
  await chmod(folder, 0o755);
  let servers: TestServers | undefined;
  try {
    servers = await startTestServers({ stateDir: folder, log: (line) => console.log(line) });
    const bundle = await obtainWorkflowBundles(folder, loadConfig().cacheDir);
    return await work(childEnv({ ...servers.env, ANNEAL_WORKFLOW_BUNDLE: bundle }));
  } finally {
    await servers?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
