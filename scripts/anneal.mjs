#!/usr/bin/env node
// `npx anneal …`: runs the CLI under the pinned Node, from the sources where they are, else from the build.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findRuntime, oldestNode, root, run, toolEnvironment } from './runtime.mjs';

const source = join(root, 'src', 'main', 'cli.ts');
const built = join(root, 'dist', 'main', 'cli.js');

async function main(args) {
  const node = findRuntime();
  if (node === undefined) {
    throw new Error(
      `Anneal needs Node ${oldestNode} or newer; this is ${process.version}. Run \`npm ci\` in ${root}.`,
    );
  }
  const entry = existsSync(source) ? ['--import', loader(), source] : [built];
  if (!existsSync(entry.at(-1)))
    throw new Error(`Neither ${source} nor ${built} exists: run \`npm run build\`.`);
  // The folder stays the caller's: arguments name files in it.
  // Keys and state lie with the project, wherever the command is given.
  const env = toolEnvironment({
    ANNEAL_STATE_DIR: process.env.ANNEAL_STATE_DIR ?? join(root, '.anneal'),
  });
  return run([node, ...entry, ...args], { cwd: process.cwd(), env });
}

function loader() {
  try {
    return import.meta.resolve('tsx');
  } catch {
    throw new Error(`The dependencies are not installed: run \`npm ci\` in ${root}.`);
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
