import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { projectRoot } from './support/source-tree.js';

// Every wall of .dependency-cruiser.cjs stops a planted import, and lets through what stands on the right side of it.
// The tree is a small copy of the layout with stand-ins for the packages: nothing of it is ever run.

/** Files that break no wall; the planted ones import them. */
const soundTree: Record<string, string> = {
  'src/domain/approval/contract.ts': `import { z } from 'zod';\nexport const contract = z;`,
  'src/domain/approval/decide.ts': `import { contract } from './contract.js';\nexport const decide = contract;`,
  'src/domain/digest.ts': `import { createHash } from 'node:crypto';\nimport c from 'canonicalize';\nexport const digest = [createHash, c];`,
  'src/workflows/approval/messages.ts': `import { wf } from '@temporalio/workflow';\nexport const messages = wf;`,
  'src/workflows/approval/story.ts': `import type { acts } from '../../activities/approval/index.js';\nimport { messages } from './messages.js';\nexport const story = messages as typeof acts;`,
  'src/workflows/approval/index.ts': `export { story } from './story.js';`,
  'src/activities/approval/index.ts': `import { decide } from '../../domain/approval/decide.js';\nimport { a } from '@temporalio/activity';\nexport const acts = [decide, a];`,
  'src/activities/release/index.ts': `export const releaseActs = 1;`,
  'src/adapters/postgres/database.ts': `import pg from 'pg';\nimport { prisma } from '@prisma/client';\nimport { generated } from './generated/client.js';\nexport const database = [pg, prisma, generated];`,
  'src/adapters/postgres/generated/client.ts': `export const generated = 1;`,
  'src/adapters/temporal/connect.ts': `export const connect = 1;`,
  'src/api/approval/get-approval.ts': `import type { database } from '../../adapters/postgres/database.js';\nimport { messages } from '../../workflows/approval/messages.js';\nexport const get = messages as unknown as typeof database;`,
  'src/cli/print.ts': `export const print = 1;`,
  'src/config.ts': `export const config = 1;`,
  'src/main/api.ts': `import { database } from '../adapters/postgres/database.js';\nimport { config } from '../config.js';\nexport const api = [database, config];`,
  'test/support/help.ts': `export const help = 1;`,
};

/** One planted import for each wall: the wall, the file, what it imports. */
const planted: [wall: string, file: string, imported: string, kind?: 'type'][] = [
  ['no-circular', 'src/domain/approval/left.ts', './right.js'],
  ['domain-is-pure', 'src/domain/approval/impure.ts', 'node:fs'],
  ['domain-is-pure', 'src/domain/approval/reaching.ts', '../../activities/release/index.js'],
  [
    'workflows-import-only-deterministic-code',
    'src/workflows/approval/acting.ts',
    '../../activities/approval/index.js',
  ],
  [
    'workflows-import-only-deterministic-code',
    'src/workflows/approval/connecting.ts',
    '@temporalio/client',
  ],
  ['sandboxed-code-does-not-hash', 'src/workflows/approval/hashing.ts', '../../domain/digest.js'],
  ['sandboxed-code-does-not-hash', 'src/domain/release/contract.ts', '../digest.js'],
  [
    'workflows-see-activities-as-types',
    'src/workflows/approval/peeking.ts',
    '../../adapters/temporal/connect.js',
    'type',
  ],
  [
    'activities-are-injected',
    'src/activities/approval/querying.ts',
    '../../adapters/postgres/database.js',
  ],
  ['activities-are-injected', 'src/activities/approval/configured.ts', '../../config.js'],
  [
    'activities-are-capability-private',
    'src/activities/approval/visiting.ts',
    '../release/index.js',
  ],
  ['api-is-thin', 'src/api/approval/thick.ts', '../../activities/approval/index.js'],
  ['api-is-thin', 'src/api/approval/querying.ts', '../../adapters/postgres/database.js'],
  [
    'api-enters-a-workflow-by-its-surface',
    'src/api/approval/inside.ts',
    '../../workflows/approval/story.js',
  ],
  ['adapters-are-leaves', 'src/adapters/temporal/climbing.ts', '../../config.js'],
  ['adapters-do-not-know-each-other', 'src/adapters/temporal/nosy.ts', '../postgres/database.js'],
  ['prisma-lives-in-one-adapter', 'src/adapters/temporal/storing.ts', '@prisma/client'],
  [
    'prisma-lives-in-one-adapter',
    'src/main/generated.ts',
    '../adapters/postgres/generated/client.js',
  ],
  ['only-main-composes', 'src/cli/composing.ts', '../main/api.js'],
  ['src-never-imports-test', 'src/main/testing.ts', '../../test/support/help.js'],
  ['sdks-live-in-adapters', 'src/main/sdk.ts', 'pg'],
  ['cli-speaks-http', 'src/cli/shortcut.ts', '@temporalio/client'],
  ['nothing-unresolved', 'src/cli/lost.ts', 'no-such-package'],
];

const standIns = [
  ...['zod', 'canonicalize', 'pg', '@prisma/client', '@temporalio/workflow'],
  ...['@temporalio/activity', '@temporalio/client'],
];

interface Violation {
  rule: { name: string };
  from: string;
  to: string;
}

let folder: string;
let violations: Violation[];

const put = (path: string, text: string) => {
  mkdirSync(join(folder, dirname(path)), { recursive: true });
  writeFileSync(join(folder, path), text);
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'anneal-walls-'));
  for (const name of ['.dependency-cruiser.cjs', 'tsconfig.json']) {
    cpSync(join(projectRoot, name), join(folder, name));
  }
  put('package.json', '{ "type": "module" }');
  for (const name of standIns) {
    put(`node_modules/${name}/package.json`, JSON.stringify({ name, main: 'index.js' }));
    put(`node_modules/${name}/index.js`, 'export default 1;');
  }
  for (const [path, text] of Object.entries(soundTree)) put(path, text);
  put('src/domain/approval/right.ts', `import './left.js';\nexport const right = 1;`);
  for (const [, file, imported, kind] of planted) {
    put(
      file,
      `import ${kind === 'type' ? 'type ' : ''}* as wrong from '${imported}';\nexport type T = typeof wrong;\n${kind === 'type' ? '' : 'export const value = wrong;\n'}`,
    );
  }
  const cruiser = join(projectRoot, 'node_modules/dependency-cruiser');
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [join(cruiser, 'bin/dependency-cruise.mjs'), 'src', '--output-type', 'json'],
    { cwd: folder, encoding: 'utf8', maxBuffer: 50_000_000 },
  );
  expect(stderr).toBe('');
  ({ violations } = (JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary);
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.each(planted)('wall %s stops %s, which imports %s', (wall, file) => {
  const found = violations.filter(({ from }) => from === file).map(({ rule }) => rule.name);
  expect(found).toContain(wall);
});

it('what stands on the right side of every wall passes', () => {
  expect(violations.filter(({ from }) => from in soundTree)).toEqual([]);
});

it('every wall has a planted import', () => {
  const require = createRequire(import.meta.url);
  const { forbidden } = require('../.dependency-cruiser.cjs') as { forbidden: { name: string }[] };
  const walls = forbidden.map(({ name }) => name);
  expect([...new Set(planted.map(([wall]) => wall))].sort()).toEqual([...walls].sort());
});
