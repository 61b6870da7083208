// `npm run check`: everything that reads the code without running it. Two checks at a time, because each is one busy
// process and the smallest machine has two cores; the slowest start first.
//   node scripts/check.mjs [name …]    all of them, or those named
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findRuntime, root, toolEnvironment } from './runtime.mjs';

const tool = (name, ...args) => [join(root, 'node_modules', '.bin', name), ...args];
const node = findRuntime();
const script = (path, ...args) => [node, join(root, path), ...args];
const entry = (path, ...args) => [node, '--import', 'tsx', join(root, path), ...args];

const checks = {
  lint: tool('eslint', '.', '--max-warnings', '0'),
  'dead code': tool('knip', '--no-progress'),
  walls: tool('depcruise', 'src'),
  format: tool('prettier', '--check', '.', '--log-level', 'warn'),
  types: tool('tsc', '-p', 'tsconfig.json'),
  openapi: entry('src/main/write-openapi.ts', '--check'),
  configuration: entry('src/main/write-configuration-doc.ts', '--check'),
  errors: entry('src/main/write-errors-doc.ts', '--check'),
  'command line': entry('src/main/write-cli-doc.ts', '--check'),
  metrics: entry('src/main/write-metrics-doc.ts', '--check'),
  lock: script('scripts/check-lock.mjs'),
};

const atOnce = 2;
const shownLines = 12;

/** Runs one check to its end; its output is kept, not shown. */
function runCheck(name, [command, ...args]) {
  const started = performance.now();
  return new Promise((resolve) => {
    let output = '';
    const done = (passed) =>
      resolve({ name, passed, output, seconds: (performance.now() - started) / 1_000 });
    const child = spawn(command, args, {
      cwd: root,
      env: toolEnvironment({ NO_COLOR: '1', FORCE_COLOR: '0' }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const collect = (chunk) => {
      output += chunk;
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.once('error', (error) => {
      output += error.message;
      done(false);
    });
    child.once('close', (code) => done(code === 0));
  });
}

function report({ name, passed, seconds, output }) {
  console.log(`  ${passed ? '✓' : '✗'} ${name.padEnd(16)} ${seconds.toFixed(1).padStart(6)} s`);
  if (passed) return;
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  for (const line of lines.slice(0, shownLines)) console.log(`      ${line}`);
  if (lines.length > shownLines) {
    console.log(`      … ${lines.length - shownLines} more: npm run check -- '${name}' --all`);
  }
}

async function main(args) {
  if (node === undefined || !existsSync(join(root, 'node_modules'))) {
    throw new Error(`The dependencies are not installed: run \`npm ci\` in ${root}.`);
  }
  const names = args.filter((arg) => arg !== '--all');
  const unknown = names.filter((name) => !Object.hasOwn(checks, name));
  if (unknown.length > 0) {
    throw new Error(
      `unknown check: ${unknown.join(', ')}; there are ${Object.keys(checks).join(', ')}`,
    );
  }
  const queue = names.length > 0 ? names : Object.keys(checks);
  const waiting = [...queue];
  const failed = [];
  const worker = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const result = await runCheck(name, checks[name]);
      report(result);
      if (!result.passed) failed.push(name);
      if (!result.passed && args.includes('--all')) console.log(result.output);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  console.log(
    failed.length === 0
      ? `  ${queue.length} checks passed`
      : `  ${failed.length} of ${queue.length} checks failed: ${failed.join(', ')}`,
  );
  return failed.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
