// `npm run pin -- name@x.y.z [--save-dev | --save-optional]`: the only way the lock is written. npm picks older
// transitive versions on an older Node without a word, so it runs under the pinned one.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { findRuntime, isNodeAtLeast, npmCommand, root, run, toolEnvironment } from './runtime.mjs';

const weekMs = 7 * 24 * 60 * 60 * 1_000;
const exact = /^((?:@[\w.-]+\/)?[\w.-]+)@(\d+\.\d+\.\d+(?:-[\w.-]+)?)$/;

/** A bad release is usually found and withdrawn within days. */
function assertSettled(npm, [name, version]) {
  const { status, stdout, stderr } = spawnSync(
    npm[0],
    [npm[1], 'view', `${name}@${version}`, 'time', '--json'],
    {
      encoding: 'utf8',
      env: toolEnvironment(),
    },
  );
  if (status !== 0) throw new Error(`${name}@${version} cannot be looked up: ${stderr.trim()}`);
  const published = Date.parse(JSON.parse(stdout || '{}')[version]);
  if (Number.isNaN(published)) throw new Error(`${name}@${version} does not exist`);
  if (Date.now() - published < weekMs) {
    throw new Error(`${name}@${version} is younger than 7 days: take an older version`);
  }
}

async function main(args) {
  const packages = args.filter((arg) => !arg.startsWith('-'));
  const specs = packages.map((arg) => exact.exec(arg)?.slice(1));
  if (packages.length === 0 || specs.includes(undefined)) {
    throw new Error('usage: npm run pin -- name@x.y.z [more@x.y.z] [--save-dev | --save-optional]');
  }
  const node = findRuntime();
  if (
    node === undefined ||
    !isNodeAtLeast(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim(), '24.0.0')
  ) {
    throw new Error('The lock is written under Node 24 only: run `npm ci` first.');
  }
  const npm = npmCommand(node);
  for (const spec of specs) assertSettled(npm, spec);
  const code = await run([...npm, 'install', '--save-exact', '--no-audit', '--no-fund', ...args]);
  if (code !== 0) return code;
  console.log(
    'next: `npm ci` from an empty folder, the replay tests, and the reason in the change',
  );
  return run([node, join(root, 'scripts', 'check-lock.mjs')]);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
