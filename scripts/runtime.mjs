// What every script here needs before anything is installed: plain JavaScript, Node 20, `node:` built-ins only.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json. */
export const root = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))));

/** The oldest Node that the platform runs on; the pinned one is newer. */
export const oldestNode = '22.13.0';

/** True where `version` (with or without `v`) is `minimum` or newer. */
export function isNodeAtLeast(version, minimum = oldestNode) {
  const numbers = (text) => text.replace(/^v/, '').split('.').map(Number);
  const [have, want] = [numbers(version), numbers(minimum)];
  const at = want.findIndex((number, index) => number !== (have[index] ?? 0));
  return at === -1 || (have[at] ?? 0) > want[at];
}

/** The Node that runs the platform: the pinned package, else a new enough system Node. Undefined where there is neither. */
export function findRuntime() {
  const pinned = join(root, 'node_modules', '.bin', 'node');
  if (existsSync(pinned)) {
    const { status, stdout } = spawnSync(pinned, ['--version'], { encoding: 'utf8' });
    if (status === 0 && isNodeAtLeast(stdout.trim())) return pinned;
  }
  return isNodeAtLeast(process.version) ? process.execPath : undefined;
}

/** The environment of what we start: the installed tools, Node among them, come first on PATH. */
export function toolEnvironment(extra = {}) {
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH].filter(Boolean);
  return { ...process.env, PATH: path.join(delimiter), ...extra };
}

/** How npm is called: as it called us, else from PATH. `node` runs it where a certain Node must. */
export function npmCommand(node = process.execPath) {
  const { npm_execpath: script } = process.env;
  if (script !== undefined && /npm-cli\.js$/.test(script)) return [node, script];
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'npm'));
  const found = onPath.find((path) => existsSync(path));
  if (found === undefined) throw new Error('npm is not on PATH: install Node.js with npm.');
  return [node, realpathSync(found)];
}

/** Runs a command in the foreground and answers its exit code, 128 + n after signal n. Signals are passed on. */
export function run([command, ...args], { env = toolEnvironment(), cwd = root } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: 'inherit' });
    // A terminal sends Ctrl-C to every process in the foreground by itself; a second one would mean "at once".
    const interrupt = () => {
      if (!process.stdin.isTTY) child.kill('SIGINT');
    };
    const pass = (signal) => child.kill(signal);
    process.on('SIGINT', interrupt).on('SIGTERM', pass).on('SIGHUP', pass);
    const done = () => {
      process.off('SIGINT', interrupt).off('SIGTERM', pass).off('SIGHUP', pass);
    };
    child.once('error', (error) => {
      done();
      reject(error);
    });
    child.once('close', (code, signal) => {
      done();
      resolve(code ?? 128 + constants.signals[signal]);
    });
  });
}

/**
 * Runs a command in the background with a sign of life, on a terminal every 2 s in the same line, elsewhere a line every
 * 30 s, and throws with the end of its output if it fails.
 */
export async function runQuietly(label, [command, ...args], { env = toolEnvironment() } = {}) {
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1_000);
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const collect = (chunk) => {
    output = (output + chunk).slice(-20_000);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const isTerminal = process.stdout.isTTY === true;
  const say = (text) => (isTerminal ? process.stdout.write(`\r${text}`) : console.log(text));
  say(label);
  const timer = setInterval(() => say(`${label}: ${seconds()} s`), isTerminal ? 2_000 : 30_000);
  const pass = (signal) => child.kill(signal);
  process.on('SIGINT', pass).on('SIGTERM', pass);
  try {
    const code = await new Promise((resolve, reject) => {
      child.once('error', reject).once('close', resolve);
    });
    if (code !== 0) throw new Error(`${label} failed:\n${output.trim()}`);
  } finally {
    clearInterval(timer);
    if (isTerminal) process.stdout.write('\n');
    process.off('SIGINT', pass).off('SIGTERM', pass);
  }
  console.log(`${label}: done in ${seconds()} s`);
}
