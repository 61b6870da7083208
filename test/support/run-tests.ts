import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { childEnv } from '../../src/config.js';
import { createStageTimes } from './stage-times.js';
import { jest, run, withServers } from './with-servers.js';

// `npm test`: the checks, then every project but `drill` (`npm run drills`), `e2e` beside the others. `npm test -- <args>`: jest
// alone with these arguments. One Postgres and one Temporal server per run, started by the same code as `npm start`.

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

/** A file waits for its servers half of the time, and they want cores too. */
const manyAtOnce = Math.min(6, availableParallelism() + 1);

/**
 * The tests of whole platforms, one file at a time: each starts a platform of its own. Most of their time is waiting, so they
 * run beside everything else; what they print follows when both are done.
 */
async function withE2e(
  env: Record<string, string>,
  beside: (env: Record<string, string>) => Promise<number>,
): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'anneal-e2e-'));
  const printed = await open(join(folder, 'printed'), 'w+');
  try {
    const args = ['--selectProjects', 'e2e', '--runInBand'];
    const codes = await Promise.all([beside(env), jest(args, env, printed.fd)]);
    return Math.max(...codes);
  } finally {
    process.stdout.write(await readFile(join(folder, 'printed')));
    await printed.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function everything(): Promise<number> {
  const stages = createStageTimes();
  const checks = await stages.time('checks', () =>
    run({ command: 'npm', args: ['run', '--silent', 'check'], env: childEnv() }),
  );
  if (checks !== 0) return checks;
  const code = await stages.time('all tests and their servers', () =>
    withServers((env) =>
      stages.time('the tests', () =>
        withE2e(env, (own) => {
          const rest = ['unit', 'slow', 'workflow', 'api', 'replay'];
          return stages.time(`of them, ${rest.join(', ')}`, () =>
            jest(['--selectProjects', ...rest, `--maxWorkers=${manyAtOnce}`], own),
          );
        }),
      ),
    ),
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
