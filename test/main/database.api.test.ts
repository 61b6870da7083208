import { createServer, type AddressInfo } from 'node:net';
import { openDatabase, type Database } from '../../src/adapters/postgres/database.js';
import { startTcpProxy } from '../chaos/tcp-proxy.js';
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

it('a transaction that a failed statement has ended is no success, though its work caught the error', async () => {
  const { worker } = database;
  const caught = worker.batch('default', async (query) => {
    await query('select 1 / 0').catch(() => undefined);
    return 'done';
  });
  await expect(caught).rejects.toThrow('work went on after a statement had failed');
  const swallowed = worker.withTenant('default', async (tx) => {
    await tx.$queryRaw`select 1 / 0`.catch(() => undefined);
    return 'done';
  });
  await expect(swallowed).rejects.toThrow('work went on after a statement had failed');
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

/** A message of Postgres: its kind and what it holds. */
function message(kind: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(kind, 0);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const fatal = (code: string, text: string): Buffer =>
  message('E', Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${text}\0\0`));

/** A Postgres that says this to whoever connects, and hangs up: whoever asks is refused. Counts the sessions. */
async function refusedBy(says: Buffer): Promise<number> {
  let sessions = 0;
  const server = createServer((socket) => {
    sessions += 1;
    socket.on('error', () => undefined).once('data', () => socket.end(says));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const opened = openDatabase({
    url: `postgresql://nobody@127.0.0.1:${port}/none`,
    ...{ poolSize: 2, applicationName: 'anneal-test' },
  });
  const asked = [
    () => opened.batch('default', (query) => query('select 1')),
    () => opened.withTenant('default', (tx) => tx.etlSource.count()),
    () => opened.call('select 1', []),
  ];
  for (const ask of asked) await expect(ask()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await opened.close();
  await new Promise((resolve) => server.close(resolve));
  return sessions;
}

it('[F5] sessions that end as they begin fail their statements, not the process', async () => {
  // All in one packet: welcome, ready, and the end of the session.
  const says = Buffer.concat([
    message('R', Buffer.alloc(4)),
    message('Z', Buffer.from('I')),
    fatal('57P01', 'terminating connection due to administrator command'),
  ]);
  expect(await refusedBy(says)).toBeGreaterThanOrEqual(3);
});

it('[F4] a server that is starting up is one that does not answer, whoever asks it', async () => {
  const sessions = await refusedBy(fatal('57P03', 'the database system is starting up'));
  expect(sessions).toBeGreaterThanOrEqual(3);
});

it.each([
  ['a statement', (over: Database) => over.call('select 1 as one', [])],
  [
    'a statement of a batch',
    (over: Database) => over.batch('default', (query) => query('select 1 as one')),
  ],
  [
    'a statement of Prisma',
    (over: Database) => over.withTenant('default', (tx) => tx.$queryRaw`select 1 as one`),
  ],
])(
  '[F9] a link that swallows everything fails %s on it in bounded time, and is left behind',
  async (_, askOf) => {
    const direct = new URL(database.urls.api);
    const link = await startTcpProxy({ host: direct.hostname, port: Number(direct.port) });
    const url = new URL(direct);
    url.hostname = '127.0.0.1';
    url.port = String(link.port);
    const over = openDatabase({
      ...{ url: url.toString(), poolSize: 1, applicationName: 'anneal-test' },
      ...{ patienceMs: 1_000, answerMs: 500 },
    });
    const ask = () => askOf(over);
    expect(await ask()).toEqual([{ one: 1 }]);
    link.set({ blackhole: 'both' });
    // The first on the connection that is open, the second on one that cannot be opened.
    for (let tries = 0; tries < 2; tries++)
      await expect(ask()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    link.set({});
    await eventually(async () => expect(await ask()).toEqual([{ one: 1 }]));
    await over.close();
    await link.close();
  },
);

it('a transaction of Prisma that takes too long is undone, and its connection is used no more', async () => {
  const short = openDatabase({
    ...{ url: database.urls.api, poolSize: 1, applicationName: 'anneal-test' },
    answerMs: 300,
  });
  const pid = () =>
    short.withTenant('default', (tx) => tx.$queryRaw<object[]>`select pg_backend_pid() as pid`);
  const first = await pid();
  // As such, and not as what Prisma makes of it.
  const late = { name: 'PlatformError', code: 'STORE_UNAVAILABLE' };
  const asleep = short.withTenant('default', (tx) => tx.$queryRaw`select pg_sleep(5)::text`);
  await expect(asleep).rejects.toMatchObject(late);
  const second = await pid();
  expect(second).not.toEqual(first);
  const away = short.withTenant('default', async (tx) => {
    await new Promise((resolve) => setTimeout(resolve, 400));
    return tx.etlSource.count();
  });
  await expect(away).rejects.toMatchObject(late);
  expect(await pid()).not.toEqual(second);
  await short.close();
});
