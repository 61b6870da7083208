import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildWorkflowBundle } from '../../src/main/workflow-bundle.js';
import { childEnv } from '../../src/config.js';
import { startTestServers } from './servers/test-servers.js';

// `npm test`: the checks, then every project, `e2e` last and in band. `npm test -- <args>`: jest alone with these
// arguments. One Postgres and one Temporal server per run, started by the same code as `npm start`.

const root = new URL('../..', import.meta.url).pathname;

/** Runs a command to its end and answers its exit code. */
const run = (command: string, args: string[], env: Record<string, string>): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', env });
    const forward = (signal: NodeJS.Signals) => child.kill(signal);
    process.on('SIGINT', forward).on('SIGTERM', forward);
    child.once('error', reject);
    child.once('exit', (code) => {
      process.off('SIGINT', forward).off('SIGTERM', forward);
      resolve(code ?? 1);
    });
  });

const jest = (args: string[], env: Record<string, string>): Promise<number> =>
  run(
    process.execPath,
    ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', ...args],
    env,
  );

/** True where the arguments name only projects that need no server. */
function needsNoServer(args: string[]): boolean {
  const at = args.indexOf('--selectProjects');
  if (at < 0) return false;
  const names: string[] = [];
  for (const arg of args.slice(at + 1)) {
    if (arg.startsWith('-') || arg.includes('/') || arg.includes('.')) break;
    names.push(arg);
  }
  return names.length > 0 && names.every((name) => name === 'unit' || name === 'replay');
}

/** Starts the servers, hands their addresses to `work`, and stops them whatever happens. */
async function withServers(
  work: (env: Record<string, string>) => Promise<number>,
): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'anneal-test-'));
  // Started by root, Postgres runs as another account and has to search this folder.
  await chmod(folder, 0o755);
  const servers = await startTestServers({ stateDir: folder, log: (line) => console.log(line) });
  try {
    const bundlePath = join(folder, 'workflow-bundle.js');
    await writeFile(bundlePath, (await buildWorkflowBundle()).code);
    return await work(childEnv({ ...servers.env, ANNEAL_WORKFLOW_BUNDLE: bundlePath }));
  } finally {
    await servers.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function everything(): Promise<number> {
  const checks = await run('npm', ['run', '--silent', 'check'], childEnv());
  if (checks !== 0) return checks;
  return withServers(async (env) => {
    const fast = await jest(
      ['--selectProjects', 'unit', 'workflow', 'api', 'replay', '--maxWorkers=2'],
      env,
    );
    const e2e = await jest(['--selectProjects', 'e2e', '--runInBand'], env);
    return fast === 0 ? e2e : fast;
  });
}

const args = process.argv.slice(2);
process.exitCode =
  args.length === 0
    ? await everything()
    : needsNoServer(args)
      ? await jest(args, childEnv())
      : await withServers((env) => jest(args, env));
