import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environmentSchema } from '../src/environment.js';
import { errorTable } from '../src/domain/errors.js';
import { searchAttributes } from '../src/domain/search-attributes.js';
import { knowledgeIds, reliabilityIds } from './reliability-ids.js';
import { sizeProfile } from './support/size-profile.js';
import {
  exportsOf,
  listFiles,
  parseSource,
  projectRoot,
  readSources,
  readText,
} from './support/source-tree.js';
import {
  activityNames,
  capabilityProblems,
  capabilityTable,
  commentProblems,
  fileNameProblem,
  repeated,
  taggedIds,
  testTitles,
  unguardedTables,
  unrecordedWorkflows,
  wireNameProblems,
} from './support/tidy-rules.js';

// Rules that no other tool holds. Each is tried on a planted fault first: a rule that cannot fail proves nothing.

const sources = readSources('src');
const tests = readSources('test');
const scripts = ['scripts', 'bench', 'examples', 'tools'].flatMap((folder) =>
  readSources(folder, /\.(ts|mjs|js)$/),
);
const planted = (text: string, path = 'src/domain/approval/planted.ts') => parseSource(path, text);

describe('capabilities', () => {
  const folders = [
    ...new Set(
      ['domain', 'workflows', 'activities', 'api'].flatMap((layer) =>
        readdirSync(join(projectRoot, 'src', layer), { withFileTypes: true })
          .filter((entry) => entry.isDirectory())
          .map((entry) => entry.name),
      ),
    ),
  ];
  const table = '| Capability | What |\n|---|---|\n| `audit` | x |\n| `access` | y |\n\n| `no` |';

  it('a folder without a table row, a row without a folder and a wrong order are found', () => {
    expect(capabilityTable(table)).toEqual(['audit', 'access']);
    expect(capabilityProblems(['access', 'pii'], ['audit', 'access'])).toEqual([
      'folder pii is missing from the capability table',
      'audit is in the capability table and has no folder',
      'the order is access, audit',
    ]);
  });

  it('every capability folder is a row of the README table, and the reverse, in lifecycle order', () => {
    expect(capabilityProblems(folders, capabilityTable(readText('README.md')))).toEqual([]);
  });
});

describe('names', () => {
  it('a message whose wire name differs from its identifier is found', () => {
    const file = planted(`export const wakeUpdate = defineUpdate('wakeUp');`);
    expect(wireNameProblems(file)).toHaveLength(1);
    expect(wireNameProblems(planted(`export const a = defineQuery<B>(name);`))).toHaveLength(1);
  });

  it('every message is called on the wire as in the code', () => {
    expect(sources.flatMap(wireNameProblems)).toEqual([]);
    expect(sources.some(({ text }) => text.includes('defineUpdate'))).toBe(true);
    for (const [name, key] of Object.entries(searchAttributes)) expect(key.name).toBe(name);
  });

  it('two factories that export one activity name are found', () => {
    const file = planted(
      `export const createAActivities = (d) => ({ one, two: d.two });
       export function createBActivities() { const one = 1; return { one }; }`,
    );
    expect(repeated(activityNames(file))).toEqual(['one']);
    expect(() => activityNames(planted('const createAActivities = (d) => d.all;'))).toThrow();
  });

  it('no two factories export the same activity name', () => {
    const names = sources
      .filter(({ path }) => path.startsWith('src/activities/'))
      .flatMap(activityNames);
    expect(names.length).toBeGreaterThan(5);
    expect(repeated(names)).toEqual([]);
  });

  it('a file that is not named after its main export is found', () => {
    const misnamed = planted('export function countVotes() {}', 'src/domain/a/judge-quorum.ts');
    expect(fileNameProblem(misnamed)).toContain('judge-quorum.ts');
    const topic = planted('export const a = 1; export type B = 2;', 'src/domain/a/quorum.ts');
    expect(fileNameProblem(topic)).toContain('quorum.ts');
    const factory = planted('export const createRelayLoop = 1;', 'src/activities/e/relay-loop.ts');
    expect(fileNameProblem(factory)).toBeUndefined();
  });

  it('every source file is named after its main export', () => {
    expect(sources.map(fileNameProblem).filter((problem) => problem !== undefined)).toEqual([]);
  });
});

describe('comments', () => {
  it.each([
    ['code', '// const a = 1;\n// return a;\nexport const b = 2;'],
    ['one line of code in prose', '// This was it:\n// await settle(run);\nexport const b = 2;'],
    ['a lint-disable without a reason', '// eslint-disable-next-line no-console\nlog();'],
    ['a TODO without an issue', '// TODO make it better\nlog();'],
  ])('%s is found', (_, text) => {
    expect(commentProblems(planted(text))).not.toEqual([]);
  });

  it('sentences, reasons and issues pass', () => {
    const text = `// A lock (see \`claim\`) closes the race; return to it with the outbox.
      /** \`const a = 1;\` is an example. */
      // eslint-disable-next-line no-console -- the CLI speaks to a person
      // TODO #12 take the payload codec into account
      export const url = 'https://example.com/';`;
    expect(commentProblems(planted(text))).toEqual([]);
  });

  it('no code is commented out, every lint-disable has a reason, every TODO an issue', () => {
    expect([...sources, ...tests, ...scripts].flatMap(commentProblems)).toEqual([]);
  });
});

describe('promises kept elsewhere', () => {
  it('an exported workflow without a recorded history is found', () => {
    expect(unrecordedWorkflows(['infer', 'inferShadow'], ['a/infer.happy.json'])).toEqual([
      'inferShadow',
    ]);
  });

  it('every exported workflow has a recorded history', () => {
    const index = parseSource('index.ts', readText('src/workflows/index.ts'));
    const histories = listFiles('test/replay', /\.json$/).filter(
      (path) => !path.startsWith('test/replay/bad/'),
    );
    expect(unrecordedWorkflows(exportsOf(index).values, histories)).toEqual([]);
  });

  it('every error code has a status, and a sentence that says what to do next', () => {
    for (const [code, { status, next }] of Object.entries(errorTable)) {
      expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
      expect({ code, status }).toEqual({ code, status: Math.max(400, Math.min(599, status)) });
      expect(`${code}: ${next}`).toMatch(/^[A-Z_]+: [A-Z].{5,}\.$/);
    }
  });

  it('docs/configuration.md names every variable of the configuration, and no other of ours', () => {
    const text = readText('docs/configuration.md');
    const named = [...text.matchAll(/^\| `([A-Z_0-9]+)`/gm)].map(([, name]) => name);
    expect(named).toEqual(Object.keys(environmentSchema.shape));
  });

  it('a table without forced row-level security or without tenant_id is found', () => {
    const create = 'CREATE TABLE "a" (\n "tenant_id" TEXT\n);\nCREATE TABLE "b" (\n "id" TEXT\n);';
    expect(unguardedTables([create])).toEqual([
      'a lacks enable, force, policy',
      'b lacks enable, force, policy, tenant_id',
    ]);
    const guard = `ALTER TABLE "a" ENABLE ROW LEVEL SECURITY; ALTER TABLE "a" FORCE ROW LEVEL SECURITY;
      CREATE POLICY p ON "a" USING (tenant_id = current_setting('app.tenant'));`;
    expect(unguardedTables([create, guard])).toEqual(['b lacks enable, force, policy, tenant_id']);
  });

  it('every table that the migrations create has tenant_id and forced row-level security, but for counts by hashes', () => {
    const migrations = listFiles('prisma/migrations', /\.sql$/).map(readText);
    expect(migrations.join('\n').match(/create table/gi)?.length).toBeGreaterThan(20);
    // Requests are counted before a tenant is known; nothing of one stands there (test/access/row-security).
    expect(unguardedTables(migrations)).toEqual([
      'admission_bucket lacks enable, force, policy, tenant_id',
    ]);
  });

  it('tags of test titles are read from every form of a test', () => {
    const file = planted(
      "it('[D1] a', f); test.each([1])('[F2, I3] %s', f); describe(`[D4] ${b}`, f); say('[D5]'); it('[G1][W2] c', f);",
    );
    expect(taggedIds(testTitles(file))).toEqual(['D1', 'F2', 'I3', 'D4', 'G1', 'W2']);
  });

  it('the ids in test titles are those of test/reliability-ids.ts, and none is without a test', () => {
    const own = tests.filter(
      ({ path }) => path.endsWith('.test.ts') && !path.startsWith('test/tidy'),
    );
    const known = [...reliabilityIds, ...knowledgeIds].sort();
    expect(taggedIds(own.flatMap(testTitles)).sort()).toEqual(known);
  });
});

describe('the lock', () => {
  const check = (folder: string) =>
    spawnSync(process.execPath, [join(projectRoot, 'scripts/check-lock.mjs'), folder], {
      encoding: 'utf8',
    });

  it('holds one version of every family that only works together', () => {
    const { status, stderr } = check(projectRoot);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it.each([
    ['@temporalio/common', '1.22.0', 'the Temporal SDK'],
    ['@prisma/client', '7.9.0', 'Prisma'],
    ['zod', '4.0.0', 'zod'],
    ['protobufjs', '8.8.0', 'protobufjs 8'],
  ])('a second %s is found', (name, version, family) => {
    const folder = mkdtempSync(join(tmpdir(), 'anneal-lock-'));
    try {
      cpSync(join(projectRoot, 'package.json'), join(folder, 'package.json'));
      const lock = JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8')) as {
        packages: Record<string, unknown>;
      };
      lock.packages[`node_modules/express/node_modules/${name}`] = {
        version,
        integrity: 'sha512-',
      };
      writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock));
      const { status, stderr } = check(folder);
      expect(status).toBe(1);
      expect(stderr).toContain(`${family} is there more than once`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

it('the size profile is printed', () => {
  const profile = sizeProfile(sources, tests);
  process.stdout.write(`\nsize profile\n${profile.map((line) => `  ${line}`).join('\n')}\n\n`);
  expect(profile).toContain('any: 0');
});
