import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { childEnv } from '../../src/config.js';
import { createStageTimes } from './stage-times.js';

// `npm test`: the checks, then every project, `e2e` last. `npm test -- <args>`: jest alone with these arguments. One
// Postgres and one Temporal server per run, started by the same code as `npm start`.

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

const serverless = ['unit', 'slow', 'replay'];

/** True where the arguments name only projects that need no server. */
function needsNoServer(args: string[]): boolean {
  const at = args.indexOf('--selectProjects');
  if (at < 0) return false;
  const names: string[] = [];
  for (const arg of args.slice(at + 1)) {
    if (arg.startsWith('-') || arg.includes('/') || arg.includes('.')) break;
    names.push(arg);
  }
  return names.length > 0 && names.every((name) => serverless.includes(name));
}

/** Starts the servers, hands their addresses to `work`, and stops them whatever happens. */
async function withServers(
  work: (env: Record<string, string>) => Promise<number>,
): Promise<number> {
  // The SDK and its bundler take seconds to load: the quick loop does without them.
  const [{ writeWorkflowBundles }, { startTestServers }] = await Promise.all([
    import('../../src/main/workflow-bundle.js'),
    import('./servers/test-servers.js'),
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'anneal-test-'));
  // Started by root, Postgres runs as another account and has to search this folder.
  await chmod(folder, 0o755);
  const servers = await startTestServers({ stateDir: folder, log: (line) => console.log(line) });
  try {
    const bundlePath = join(folder, 'workflow-bundle.js');
    await writeWorkflowBundles(bundlePath);
    return await work(childEnv({ ...servers.env, ANNEAL_WORKFLOW_BUNDLE: bundlePath }));
  } finally {
    await servers.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** One file a core: Postgres and Temporal want theirs besides. */
const manyAtOnce = Math.min(6, availableParallelism());

async function everything(): Promise<number> {
  const stages = createStageTimes();
  const checks = await stages.time('checks', () =>
    run('npm', ['run', '--silent', 'check'], childEnv()),
  );
  if (checks !== 0) return checks;
  const code = await stages.time('all tests and their servers', () =>
    withServers(async (env) => {
      const beside = ['unit', 'slow', 'workflow', 'api', 'replay'];
      const fast = await stages.time(beside.join(', '), () =>
        jest(['--selectProjects', ...beside, `--maxWorkers=${manyAtOnce}`], env),
      );
      // Each file starts a platform of its own and kills parts of it.
      const e2e = await stages.time('e2e', () =>
        jest(['--selectProjects', 'e2e', '--runInBand'], env),
      );
      return fast === 0 ? e2e : fast;
    }),
  );
  console.log(stages.table());
  return code;
}

const args = process.argv.slice(2);
const choosesWorkers = args.some((arg) => /^(-i|-w|--runInBand|--maxWorkers)(=|$)/.test(arg));
process.exitCode =
  args.length === 0
    ? await everything()
    : needsNoServer(args)
      ? await jest(choosesWorkers ? args : [...args, '--maxWorkers=100%'], childEnv())
      : await withServers((env) => jest(args, env));
