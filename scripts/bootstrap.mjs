// Behind `npm start`, `npm test` and `npm run tour`: installs what is missing, generates what is stale, then runs the
// target under the pinned Node. Valid on Node 20, because that may be all a fresh clone finds.
//   node scripts/bootstrap.mjs start [args]        src/main/dev.ts
//   node scripts/bootstrap.mjs test [jest args]    test/support/run-tests.ts
//   node scripts/bootstrap.mjs run <file> [args]   any entry
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  findRuntime,
  isNodeAtLeast,
  npmCommand,
  oldestNode,
  root,
  run,
  runQuietly,
} from './runtime.mjs';

const at = (...names) => join(root, ...names);
const stamps = at('node_modules', '.cache', 'anneal');

/** A digest of files and folders, by name and content. */
function digestOf(...paths) {
  const digest = createHash('sha256');
  const add = (path) => {
    if (!existsSync(path)) return;
    if (statSync(path).isDirectory()) {
      for (const name of readdirSync(path).sort()) add(join(path, name));
    } else {
      digest
        .update(`${path.slice(root.length)}\0`)
        .update(readFileSync(path))
        .update('\0');
    }
  };
  for (const path of paths) add(path);
  return digest.digest('hex');
}

const stampOf = (name) => {
  const file = join(stamps, name);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
};

function stamp(name, value) {
  mkdirSync(stamps, { recursive: true });
  writeFileSync(join(stamps, name), value);
}

/** True where node_modules is what the lock says, whoever installed it. */
function matchesLock() {
  const hidden = at('node_modules', '.package-lock.json');
  if (!existsSync(hidden)) return false;
  const wanted = JSON.parse(readFileSync(at('package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(hidden, 'utf8')).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = installed[path];
    return found === undefined
      ? entry.optional === true || entry.devOptional === true
      : found.version === entry.version;
  });
}

async function install() {
  const wanted = digestOf(at('package-lock.json'), at('package.json'));
  if (stampOf('install') === wanted && findRuntime() !== undefined) return;
  if (!matchesLock() || findRuntime() === undefined) {
    const npm = npmCommand();
    const options = ['--no-audit', '--no-fund'];
    try {
      await runQuietly('installing dependencies', [...npm, 'ci', ...options]);
    } catch (error) {
      await installWithSystemNode(npm, options, error);
    }
  }
  stamp('install', wanted);
}

/** The pinned Node comes through an install script and exists for fewer platforms than Node itself. */
async function installWithSystemNode(npm, options, error) {
  if (!isNodeAtLeast(process.version)) {
    throw new Error(
      `${error.message}\n\nThis machine has Node ${process.version}. If only the \`node\` package failed: install Node ${oldestNode} or newer, then start again.`,
    );
  }
  console.log(`the installation failed; trying again with Node ${process.version} of this machine`);
  try {
    await runQuietly('installing dependencies without scripts', [
      ...npm,
      'ci',
      '--ignore-scripts',
      ...options,
    ]);
    const { allowScripts = {} } = JSON.parse(readFileSync(at('package.json'), 'utf8'));
    const others = Object.keys(allowScripts).filter(
      (name) => allowScripts[name] && name !== 'node' && existsSync(at('node_modules', name)),
    );
    if (others.length > 0)
      await runQuietly('running install scripts', [...npm, 'rebuild', ...others]);
  } catch (second) {
    throw new Error(`${error.message}\n\n${second.message}`);
  }
}

async function generate(node) {
  const lock = at('package-lock.json');
  const schema = digestOf(
    at('prisma', 'schema.prisma'),
    at('prisma', 'models'),
    at('prisma.config.ts'),
    lock,
  );
  const client = at('src', 'adapters', 'postgres', 'generated');
  if (
    existsSync(at('prisma', 'schema.prisma')) &&
    !(stampOf('prisma') === schema && existsSync(client))
  ) {
    // Only migrations use the schema engine, and ours do not: without this, `generate` would download it.
    const engine = ['/bin/true', '/usr/bin/true'].find((path) => existsSync(path));
    const env = { ...process.env, ...(engine && { PRISMA_SCHEMA_ENGINE_BINARY: engine }) };
    const prisma = at('node_modules', 'prisma', 'build', 'index.js');
    await runQuietly('generating the database client', [node, prisma, 'generate'], { env });
    stamp('prisma', schema);
  }
}

async function main([target, ...args]) {
  const entries = {
    start: [at('src', 'main', 'dev.ts')],
    test: [at('test', 'support', 'run-tests.ts')],
    run: [],
  };
  const entry = Object.hasOwn(entries, target ?? '') ? entries[target] : undefined;
  if (entry === undefined || (target === 'run' && args.length === 0)) {
    throw new Error('usage: bootstrap.mjs start [args] | test [jest args] | run <file> [args]');
  }
  await install();
  const node = findRuntime();
  if (node === undefined)
    throw new Error(`Anneal needs Node ${oldestNode} or newer; this is ${process.version}.`);
  await generate(node);
  return run([node, '--import', 'tsx', ...entry, ...args]);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
