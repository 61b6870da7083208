import { createVerifyAudit } from '../../src/activities/audit/index.js';
import { createAuditStore } from '../../src/adapters/postgres/audit.js';
import { openDatabase, type Database } from '../../src/adapters/postgres/database.js';
import { mutate } from '../../src/adapters/postgres/mutate.js';
import type { Caller } from '../../src/domain/events/change.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let wide: Database;
beforeAll(async () => {
  database = await createTestDatabase();
  wide = openDatabase({
    url: database.urls.api,
    poolSize: 16,
    applicationName: 'anneal-test',
    patienceMs: 60_000,
  });
});
afterAll(async () => {
  await wide.close();
  await database.close();
});

const callerOf = (tenant: string): Caller => ({
  tenant,
  actor: { subject: 'prn_1', kind: 'person', roles: [], via: 'test' },
});
const factsOf = (id: string) => ({ action: 'test.done', resource: { type: 'thing', id } });
const verify = (tenant: string) =>
  createVerifyAudit({ ...createAuditStore(wide), readCheckpoints: async () => [] })(
    tenant,
    new AbortController().signal,
  );

test('200 parallel changes and 200 parallel refusals leave one whole chain', async () => {
  const audit = createAuditStore(wide);
  await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      await Promise.all([
        mutate(wide, callerOf('busy'), async () => ({
          status: 200,
          body: {},
          audit: factsOf(`change-${i}`),
        })),
        audit.recordRefusal(callerOf('busy'), factsOf(`refusal-${i}`)),
      ]);
    }),
  );
  expect(await verify('busy')).toMatchObject({ status: 'intact', size: 400, verified: 400 });
}, 60_000);

test('a change that fails leaves no entry, and an entry that fails leaves no change', async () => {
  const tenant = 'whole';
  const insert = (name: string) =>
    mutate(wide, callerOf(tenant), async (tx) => {
      await tx.$executeRaw`insert into principal (tenant_id, principal_id, kind, name, roles)
        values (${tenant}, ${name}, 'person', ${name}, '{}')`;
      if (name === 'fails') throw new Error('the change fails');
      // Canonical JSON has no form for this: the entry cannot be written.
      const after = name === 'unwritable' ? { value: Number.NaN } : {};
      return { status: 200, body: {}, audit: { ...factsOf(name), after } };
    });
  await insert('works');
  await expect(insert('fails')).rejects.toThrow('the change fails');
  await expect(insert('unwritable')).rejects.toThrow();
  const rows = await database.asSuperuser(
    `select name from principal where tenant_id = '${tenant}'`,
  );
  expect(rows).toEqual([{ name: 'works' }]);
  expect(await verify(tenant)).toMatchObject({ status: 'intact', size: 1 });
});

test('the speed of appends and of verification is printed', async () => {
  const audit = createAuditStore(wide);
  const total = 2_000;
  const took: number[] = [];
  const startedAt = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (next++ < total) {
        const begun = performance.now();
        await audit.recordRefusal(callerOf('fast'), factsOf(`${next}`));
        took.push(performance.now() - begun);
      }
    }),
  );
  const perSecond = Math.round((total * 1000) / (performance.now() - startedAt));
  const p99 = Math.round(took.sort((a, b) => a - b)[Math.floor(took.length * 0.99)] ?? 0);
  const verdict = await verify('fast');
  expect(verdict).toMatchObject({ status: 'intact', size: total });
  const rows = Math.round((total * 1000) / Math.max(1, verdict.durationMs));
  process.stdout.write(
    `audit: ${perSecond} appends/s on one chain, p99 ${p99} ms; ${rows} entries/s verified\n`,
  );
}, 60_000);
