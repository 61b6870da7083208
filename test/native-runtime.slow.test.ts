import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

// The tests run without jest's own module registry (test/support/jest). What must fail there fails, each in its own file.

const root = new URL('..', import.meta.url).pathname;

/** Test files, and how each of their tests must end. */
const planted: Record<string, { source: string; ends: string[] }> = {
  'wrong.planted.ts': {
    source: `test('is wrong', () => expect({ a: 1 }).toEqual({ a: 2 }));
      test.each([1, 2])('is %i', (n) => expect(n).toBe(1));`,
    ends: ['failed', 'passed', 'failed'],
  },
  'hangs.planted.ts': {
    source: `test('never ends', () => new Promise(() => undefined), 200);`,
    ends: ['failed'],
  },
  'throws-later.planted.ts': {
    source: `test('throws from a timer', () => {
        setTimeout(() => { throw new Error('later'); }, 1);
        return new Promise((resolve) => setTimeout(resolve, 100));
      });`,
    ends: ['failed'],
  },
  'rejects.planted.ts': {
    source: `test('leaves a rejection behind', () => {
        void Promise.reject(new Error('nobody listens'));
        return new Promise((resolve) => setTimeout(resolve, 100));
      });`,
    ends: ['failed'],
  },
  'hook.planted.ts': {
    source: `beforeAll(() => { throw new Error('not ready'); });
      test('needs the hook', () => undefined);`,
    ends: ['failed'],
  },
  'lost.planted.ts': {
    source: `import './nowhere.js';
      test('is never reached', () => undefined);`,
    ends: [],
  },
  'right.planted.ts': {
    source: `let hooks = 0;
      beforeEach(() => { hooks += 1; });
      test('is right, after all of those', () => expect(hooks).toBe(1));`,
    ends: ['passed'],
  },
};

interface Report {
  success: boolean;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string }[];
  }[];
}

let folder: string;
let report: Report;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anneal-planted-'));
  for (const [name, { source }] of Object.entries(planted))
    await writeFile(join(folder, name), source);
  const config = {
    rootDir: folder,
    testMatch: ['<rootDir>/*.planted.ts'],
    testEnvironment: join(root, 'test/support/jest/native-environment.mjs'),
    runtime: join(root, 'test/support/jest/native-runtime.mjs'),
  };
  const outputFile = join(folder, 'report.json');
  const args = [
    ...['--import', 'tsx', '--no-warnings', 'node_modules/jest/bin/jest.js'],
    ...['--config', JSON.stringify(config), '--runInBand', '--json', '--outputFile', outputFile],
  ];
  await new Promise<void>((resolve) => {
    execFile(process.execPath, args, { cwd: root }, () => resolve());
  });
  report = JSON.parse(await readFile(outputFile, 'utf8')) as Report;
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

const resultOf = (name: string) =>
  report.testResults.find((result) => basename(result.name) === name);

it.each(Object.entries(planted))('%s ends as it must', (name, { ends }) => {
  const result = resultOf(name);
  expect(result?.assertionResults.map(({ status }) => status)).toEqual(ends);
  expect(result?.status).toBe(name === 'right.planted.ts' ? 'passed' : 'failed');
});

it('a failure names its line, and the whole run fails', () => {
  expect(resultOf('wrong.planted.ts')?.message).toContain('wrong.planted.ts:1');
  expect(report.success).toBe(false);
});
