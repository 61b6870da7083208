import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { roles } from '../../src/domain/access/permissions.js';
import { freshStackEnv, startStack, type Stack, type StackEnv } from '../support/stack.js';

// `npm run fuzz:api`: schemathesis against /openapi.json of a running installation (reliability.md §6, §14).

const VERSION = '4.32.5';
/** Exit code where nothing was tried. */
const NOT_RUN = 77;
/** Operations that take rights away from whoever calls. */
const takingAway = ['api-keys.revoke', 'principals.set-roles'];

const HELP = `npm run fuzz:api -- [options]

Starts what \`npm start\` starts in a folder of its own and sends requests that schemathesis ${VERSION} makes up from
/openapi.json: valid ones, and ones that are wrong in one place. Needs python3; the first run installs schemathesis into
the cache folder.

  --cases <n>     cases an operation, at most (50)
  --seed <n>      the same requests again
  --only <regex>  operation ids that match alone
  --help          this text

Exit code 0: no 5xx, no status or body that is not documented, no invalid input accepted. 77: nothing was tried.
`;

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

/** Where schemathesis is, or why it is nowhere. */
function installed(): { program: string } | { missing: string } {
  if (spawnSync('python3', ['--version']).status !== 0)
    return { missing: 'python3 is not on this machine' };
  const folder = join(homedir(), '.cache', 'anneal', `schemathesis-${VERSION}`);
  const program = join(folder, 'bin', 'st');
  if (existsSync(program)) return { program };
  const steps = [
    ['python3', '-m', 'venv', folder],
    [join(folder, 'bin', 'pip'), 'install', '--quiet', `schemathesis==${VERSION}`],
  ];
  for (const [command = '', ...args] of steps)
    if (spawnSync(command, args, { stdio: 'inherit' }).status !== 0)
      return { missing: `${command} ${args.join(' ')} failed` };
  return { program };
}

/** The key of somebody who may do almost everything: what is refused is then refused for what it is. */
async function keyOfEverything(stack: Stack): Promise<string> {
  const admin = await stack.admin();
  // Whoever audits may not configure: these two exclude each other.
  const held = roles.filter((role) => role !== 'auditor');
  const person = { kind: 'person', name: 'fuzz', roles: held };
  const principal = await admin.post('/v1/principals', person);
  const issued = await admin.post('/v1/api-keys', { principalId: principal.id, env: 'prod' });
  return String(issued.key);
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const found = installed();
  if ('missing' in found) {
    process.stdout.write(`NOT RUN: ${found.missing}\n`);
    return NOT_RUN;
  }
  // Made-up keys by the hundred are what this is about, and not to be told so.
  const env: StackEnv = { ...(await freshStackEnv()) };
  for (const of of ['ADDRESS', 'KEY', 'TENANT', 'FAILURES'])
    env[`ANNEAL_RATE_${of}_PER_MINUTE`] = '0';
  const stack = await startStack(env);
  const folder = await mkdtemp(join(tmpdir(), 'anneal-fuzz-'));
  try {
    const key = await keyOfEverything(stack);
    const only = values.only === undefined ? [] : ['--include-operation-id-regex', values.only];
    const args = [
      ...['--config-file', join(import.meta.dirname, 'schemathesis.toml')],
      ...['run', `${stack.baseUrl}/openapi.json`, '--header', `Authorization: Bearer ${key}`],
      ...['--checks', 'all', '--max-examples', values.cases, '--seed', values.seed],
      // What names nothing that exists, or does not fit what is stored, is refused though its form is right.
      ...['--exclude-checks', 'positive_data_acceptance'],
      // It finds the ids that answers hold, its own key's among them; without that key it would see 401 alone.
      ...takingAway.flatMap((operation) => ['--exclude-operation-id', operation]),
      ...['--phases', 'examples,coverage,fuzzing', '--continue-on-failure', '--no-color'],
      ...['--warnings', 'off'],
      ...only,
    ];
    // It keeps what it found beside where it runs.
    const child = spawn(found.program, args, { stdio: 'inherit', cwd: folder });
    return await new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
  } finally {
    await stack.close();
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
