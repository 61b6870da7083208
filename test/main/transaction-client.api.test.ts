import type { Tx } from '../../src/adapters/postgres/database.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const tenantOf = async (tx: Tx): Promise<unknown> => {
  const [row] = await tx.$queryRaw<
    { tenant: string }[]
  >`select current_setting('app.tenant') as tenant, pg_sleep(0.01)::text`;
  return row?.tenant;
};

it('transactions at once are each under their own tenant', async () => {
  const { worker } = database;
  const tenants = Array.from({ length: 40 }, (_, at) => `tenant-${at % 7}`);
  const seen = await Promise.all(
    tenants.map((tenant) =>
      worker.withTenant(tenant, async (tx) => [await tenantOf(tx), await tenantOf(tx)]),
    ),
  );
  expect(seen).toEqual(tenants.map((tenant) => [tenant, tenant]));
});

it('a transaction inside another is the one that is spoken in until it ends', async () => {
  const { worker } = database;
  const seen = await worker.withTenant('outer', async (tx) => [
    await tenantOf(tx),
    await worker.withTenant('inner', tenantOf),
    await tenantOf(tx),
  ]);
  expect(seen).toEqual(['outer', 'inner', 'outer']);
});

it('a query that was not waited for goes nowhere once its transaction is over, whoever has its client then', async () => {
  const { worker } = database;
  const gate = Promise.withResolvers<void>();
  const refusal = { message: expect.stringContaining('a query outside withTenant') as unknown };
  let late: Promise<unknown> | undefined;
  await worker.withTenant('one', (tx) => {
    late = expect(gate.promise.then(() => tenantOf(tx))).rejects.toMatchObject(refusal);
    return Promise.resolve();
  });
  await worker.withTenant('two', async (tx) => {
    gate.resolve();
    await late;
    expect(await tenantOf(tx)).toBe('two');
  });
  const kept = await worker.withTenant('one', (tx) => Promise.resolve({ tx }));
  await expect(tenantOf(kept.tx)).rejects.toMatchObject(refusal);
});

it('a lookup that was not waited for is not answered among those of another transaction', async () => {
  const { worker } = database;
  const gate = Promise.withResolvers<void>();
  const refusal = { message: expect.stringContaining('a query outside withTenant') as unknown };
  const lookup = (tx: Tx, tenantId: string) =>
    tx.trainingLog.findUnique({
      where: { tenantId_runId_seq: { tenantId, runId: 'trn_1', seq: 1 } },
    });
  for (const isFirst of [true, false]) {
    const found: Promise<void>[] = [];
    await worker.withTenant('one', (tx) => {
      const late = () => expect(lookup(tx, 'one')).rejects.toMatchObject(refusal);
      if (isFirst) found.push(gate.promise.then(late));
      else found.push(gate.promise.then(() => undefined).then(late));
      return Promise.resolve();
    });
    await worker.withTenant('two', async (tx) => {
      gate.resolve();
      await Promise.resolve();
      expect(await lookup(tx, 'two')).toBeNull();
      await Promise.all(found);
    });
  }
});

it('a query is sent when it is first awaited, once, and has no accessor that would keep it in memory', async () => {
  const { worker } = database;
  const data = { tenantId: 'lazy', runId: 'trn_1', seq: 1, line: 'a line' };
  await worker.withTenant('lazy', async (tx) => {
    const never = tx.trainingLog.create({ data });
    const row = tx.trainingLog.create({ data: { ...data, seq: 2 } });
    for (const query of [never, row, tx.$queryRaw`select 1`]) {
      const properties = Object.values(Object.getOwnPropertyDescriptors(query));
      expect(properties.filter((property) => 'get' in property)).toEqual([]);
    }
    expect(await row).toEqual(await row);
    expect(await row.finally(() => undefined)).toMatchObject({ seq: 2 });
    expect(await tx.trainingLog.count()).toBe(1);
  });
  const failing = worker.withTenant('lazy', (tx) => tx.$queryRaw`select nothing`.catch(() => 0));
  await expect(failing).rejects.toThrow('work went on after a statement had failed');
});

it('lookups of one turn of the event loop are each answered in their own transaction', async () => {
  const { worker } = database;
  const tenants = ['lookup-1', 'lookup-2', 'lookup-3'];
  const of = (tenantId: string) => ({ tenantId, runId: 'trn_1', seq: 1 });
  for (const tenant of tenants)
    await worker.withTenant(tenant, (tx) =>
      tx.trainingLog.create({ data: { ...of(tenant), line: tenant } }),
    );
  const gate = Promise.withResolvers<void>();
  let begun = 0;
  const lookUp = async (tx: Tx) => {
    if ((begun += 1) === tenants.length) gate.resolve();
    await gate.promise;
    return Promise.all(
      tenants.map((tenant) =>
        tx.trainingLog.findUnique({ where: { tenantId_runId_seq: of(tenant) } }),
      ),
    );
  };
  const found = await Promise.all(tenants.map((tenant) => worker.withTenant(tenant, lookUp)));
  const lines = found.map((rows) => rows.flatMap((row) => row?.line ?? []));
  expect(lines).toEqual(tenants.map((tenant) => [tenant]));
});

it('what Prisma sends as a transaction of its own is part of the one around it: kept or undone with it', async () => {
  const { worker } = database;
  // More values than one statement may have: Prisma begins a transaction for its two.
  const count = 9_000;
  const dataOf = (tenantId: string) =>
    Array.from({ length: count }, (_, seq) => ({ tenantId, runId: 'trn_1', seq, line: 'a line' }));
  const tenants = ['chunks-1', 'chunks-2'];
  const lines = () =>
    Promise.all(tenants.map((of) => worker.withTenant(of, (tx) => tx.trainingLog.count())));
  // At once, so that one ends while the other is under way.
  const insert = (fail: (tenant: string) => void) =>
    Promise.allSettled(
      tenants.map((tenant) =>
        worker.withTenant(tenant, async (tx) => {
          expect(await tx.trainingLog.createMany({ data: dataOf(tenant) })).toEqual({ count });
          fail(tenant);
        }),
      ),
    );
  const undone = new Error('undone');
  const [first, second] = await insert((tenant) => {
    if (tenant === tenants[0]) throw undone;
  });
  expect([first, second]).toEqual([
    { status: 'rejected', reason: undone },
    { status: 'fulfilled', value: undefined },
  ]);
  expect(await lines()).toEqual([0, count]);
});
