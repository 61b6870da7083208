import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

it('[F5] a connection that is lost between two statements of a batch fails the batch, not the process', async () => {
  const { worker, asSuperuser } = database;
  await expect(
    worker.batch('default', async (query) => {
      const [row] = await query('select pg_backend_pid() as pid');
      await asSuperuser('select pg_terminate_backend($1)', [row?.pid]);
      await eventually(async () => {
        const left = await asSuperuser('select 1 from pg_stat_activity where pid = $1', [row?.pid]);
        expect(left).toEqual([]);
      });
      // The event loop has to meet the end of the connection before the next statement does.
      await new Promise((resolve) => setImmediate(resolve));
      return query('select 1 as one');
    }),
  ).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(await worker.batch('default', (query) => query('select 1 as one'))).toEqual([{ one: 1 }]);
});

it('[F3] a process that stands still in a transaction loses its session; whoever waits for its locks goes on', async () => {
  const { worker, api } = database;
  const lock = 'select pg_advisory_xact_lock(42)';
  const waited = Promise.withResolvers<void>();
  const still = worker.batch('default', async (query) => {
    await query(lock);
    await waited.promise;
    return query('select 1 as one');
  });
  const refused = expect(still).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await api.batch('default', (query) => query(lock));
  waited.resolve();
  await refused;
}, 40_000);
