import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { testEnvironment } from '../support/model-runtime.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const drift = () =>
  spawnSync(
    process.execPath,
    [
      '--no-warnings',
      fileURLToPath(new URL('../../scripts/diff-schema.mjs', import.meta.url)),
      database.adminUrl,
    ],
    { encoding: 'utf8', env: testEnvironment },
  );

test('the migrations make exactly the schema that prisma/ describes, and a difference would be seen', async () => {
  const clean = drift();
  expect({ status: clean.status, stdout: clean.stdout }).toEqual({ status: 0, stdout: '' });
  await database.asSuperuser('alter table tenant add column planted text');
  const planted = drift();
  expect(planted.status).toBe(2);
  expect(planted.stdout).toContain('planted');
});
