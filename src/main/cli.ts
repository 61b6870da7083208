import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { styleText } from 'node:util';
import { z } from 'zod';
import type { CliIo } from '../cli/cli-deps.js';
import { runCli } from '../cli/run-cli.js';
import { ConfigError, loadConfig } from '../config.js';
import { projectFolder } from './project-folder.js';

// `npx anneal`: the command line, built from openapi.json and wired to this terminal. What opens stores and Temporal is loaded
// by the commands that do so: the others would wait a second for it.

const NARROWEST = 80;
const manifestSchema = z.looseObject({ version: z.string() });
const keysSchema = z.record(z.string(), z.string());

const io: CliIo = {
  out: (line) => console.log(line),
  err: (line) => console.error(line),
  isTerminal: process.stdout.isTTY,
  columns: Math.max(NARROWEST, process.stdout.columns ?? NARROWEST),
  // styleText leaves the text plain where the stream is no terminal or NO_COLOR is set.
  paint: (style, line) => styleText(style, line, { stream: process.stderr }),
  readStdin: () => text(process.stdin),
};

async function readKeys(path: string): Promise<Record<string, string> | undefined> {
  const found = await readFile(path, 'utf8').catch(() => undefined);
  return found === undefined ? undefined : keysSchema.parse(JSON.parse(found));
}

const readJson = async (name: string): Promise<unknown> =>
  JSON.parse(await readFile(projectFolder(name), 'utf8'));

async function main(): Promise<number> {
  const config = loadConfig();
  const keysPath = join(config.stateDir, 'keys.json');
  return runCli(process.argv.slice(2), {
    document: await readJson('openapi.json'),
    version: manifestSchema.parse(await readJson('package.json')).version,
    ...config.cli,
    keysPath,
    readKeys: () => readKeys(keysPath),
    send: (url, init) => fetch(url, init),
    io,
    newKey: () => randomUUID(),
    nowMs: () => performance.now(),
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    backup: {
      create: async (to) => {
        const { createBackup } = await import('./backup.js');
        return createBackup(config, to);
      },
      verify: async (folder, keys) => {
        const { chooseBackup, verifyBackup } = await import('./backup.js');
        return verifyBackup(
          await chooseBackup(config, folder),
          keys ?? join(config.stateDir, 'keys'),
        );
      },
      restore: async (request, say) => {
        const { chooseBackup } = await import('./backup.js');
        const { restoreBackup } = await import('./restore.js');
        const folder = await chooseBackup(config, request.folder);
        return restoreBackup(config, { ...request, folder }, say);
      },
    },
    probes: async () => (await import('./doctor-probes.js')).doctorProbes(config),
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof ConfigError) console.error(error.message);
  else console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = error instanceof ConfigError ? 2 : 1;
}
