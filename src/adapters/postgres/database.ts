import pg from 'pg';
import { PlatformError } from '../../domain/errors.js';
import { createTransactionClient, type Send } from './transaction-client.js';
import type { Prisma } from './generated/client.js';

/** A transaction under one tenant: what the functions of this adapter work on. */
export type Tx = Omit<Prisma.TransactionClient, '$transaction'>;

/** A row of a hand-written query, before it is mapped. */
export type SqlRow = Record<string, unknown>;

/** One statement of a batch. */
export type Query = (sql: string, values?: unknown[]) => Promise<SqlRow[]>;

/** One role's access to Postgres. Nothing in it reaches a row without a tenant. */
export interface Database {
  /** Runs `work` in one transaction under `tenant`; commits when it resolves, rolls back when it throws. */
  withTenant: <T>(tenant: string, work: (tx: Tx) => Promise<T>) => Promise<T>;
  /**
   * One statement whose SQL function sets the tenant itself as its first act: the hot path, a single round trip.
   * Never call it with SQL that does not.
   */
  call: (sql: string, values: unknown[]) => Promise<SqlRow[]>;
  /**
   * One transaction of hand-written statements over whole batches, under `tenant`: for sets, where Prisma would send a
   * statement a row. Commits when `work` resolves, rolls back when it throws.
   */
  batch: <T>(tenant: string, work: (query: Query) => Promise<T>) => Promise<T>;
  /** Every tenant's id, sorted: what background loops iterate over. */
  tenants: () => Promise<string[]>;
  /** Follows a NOTIFY channel until the signal aborts; reconnects by itself and calls `onReconnect` after each gap. */
  listen: (
    channel: string,
    handlers: { onNotice: (payload: string) => void; onReconnect?: () => void },
    signal: AbortSignal,
  ) => Promise<void>;
  /** Answers when Postgres answers; throws STORE_UNAVAILABLE otherwise. */
  ping: () => Promise<void>;
  close: () => Promise<void>;
}

const UNAVAILABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  '57P01',
  '57P02',
  '57P03',
  '08006',
  '08001',
  '08003',
  '53300',
]);
const GONE =
  /terminat|Query read timeout|timeout exceeded when trying to connect|Connection ended|server closed|Can't reach|not queryable|ECONNREFUSED|ECONNRESET|closed the connection/i;

/**
 * Turns a lost connection into STORE_UNAVAILABLE; every other error passes unchanged. Told by what it says and not by its
 * class: an error of Node's own may come from another realm than this module.
 */
function translated(error: unknown): unknown {
  if (error instanceof PlatformError || typeof error !== 'object' || error === null) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  const said = typeof message === 'string' ? message : '';
  // Prisma has a code of its own for what it does not know, and names that of Postgres in its message.
  const named = /Code: `(\w{5})`/.exec(said)?.[1] ?? '';
  const lost =
    UNAVAILABLE.has(named) ||
    (typeof code === 'string' &&
      (UNAVAILABLE.has(code) ||
        code === 'P1001' ||
        code === 'P1008' ||
        code === 'P1017' ||
        code === 'P2024')) ||
    GONE.test(said);
  if (!lost) return error;
  return new PlatformError('STORE_UNAVAILABLE', 'The database does not answer.', {
    internal: said,
  });
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });

/** One connection that follows a channel until it breaks or the signal aborts. */
async function follow(
  client: pg.Client,
  channel: string,
  session: { onNotice: (payload: string) => void; onConnected: () => void; signal: AbortSignal },
): Promise<void> {
  const { onNotice, onConnected, signal } = session;
  await new Promise<void>((resolve) => {
    const end = () => resolve();
    client.on('error', end).on('end', end);
    signal.addEventListener('abort', end, { once: true });
    client.on('notification', (notice) => onNotice(notice.payload ?? ''));
    client
      .connect()
      .then(() => client.query(`LISTEN ${client.escapeIdentifier(channel)}`))
      .then(onConnected, end);
  });
  await client.end().catch(() => undefined);
}

/** How one role opens the database. */
interface OpenOptions {
  /** The role's own URL. */
  url: string;
  /** Connections of the Prisma pool; the hot path has as many of its own. */
  poolSize: number;
  applicationName: string;
  /** How long a transaction waits for a free connection before STORE_UNAVAILABLE (5,000). */
  patienceMs?: number;
  /**
   * How long a statement of the hot path waits for its answer, and a transaction of Prisma takes in all, before
   * STORE_UNAVAILABLE (30,000); a statement of a batch waits four times that.
   */
  answerMs?: number;
  /** Told how long each use of a pool waited for its connection, ms. */
  observeWait?: ((ms: number) => void) | undefined;
}

/** A statement over a whole batch may take longer than one of the hot path, and is bounded all the same. */
const BATCH_FACTOR = 4;

/** A link that swallows everything says nothing of its end. */
const ANSWER_MS = 30_000;

/** What pg says of a statement that was not answered in time. Without a code, so that Prisma passes it on as it is. */
const UNANSWERED = 'Query read timeout';

const isUnanswered = (error: unknown): error is Error =>
  (error as { message?: unknown }).message === UNANSWERED;

/** What is left of the time that a statement may take, ms; asked before each. */
type LeftMs = () => number;

/** One transaction under a tenant; `startClock` is called once it has its connection. */
async function transact<T>(
  pool: pg.Pool,
  of: { tenant: string; patienceMs: number; startClock: () => LeftMs },
  work: (send: Send) => Promise<T>,
): Promise<T> {
  let client: pg.PoolClient | undefined;
  let broken: Error | undefined;
  let isOver = false;
  // Between two statements nobody else hears that the connection is gone; unheard, it would end the process.
  const onLost = (lost: Error) => {
    broken = lost;
  };
  try {
    const held = (client = await pool.connect());
    held.on('error', onLost);
    const leftMs = of.startClock();
    const sendWithin = async <Row extends pg.QueryResultRow>(
      ms: number,
      statement: pg.QueryConfig,
    ) => {
      if (broken !== undefined) throw broken;
      try {
        if (ms <= 0) throw new Error(UNANSWERED);
        const bounded = { ...statement, query_timeout: ms };
        return await held.query<Row>(bounded);
      } catch (error) {
        // Whatever is sent after it would wait behind it: the connection goes, and with it the transaction.
        if (isUnanswered(error)) broken = error;
        throw error;
      }
    };
    const send: Send = (statement) =>
      isOver
        ? Promise.reject(new Error('a query outside withTenant'))
        : sendWithin(leftMs(), statement);
    await sendWithin(Math.min(leftMs(), of.patienceMs), { text: 'begin' });
    try {
      await send({ text: `select set_config('app.tenant', $1, true)`, values: [of.tenant] });
      const result = await work(send).finally(() => {
        isOver = true;
      });
      // With little time left it could be carried out and not be answered: it gets its own, or is not sent.
      const commitMs = leftMs() > 0 ? Math.max(leftMs(), of.patienceMs) : 0;
      const { command } = await sendWithin(commitMs, { text: 'commit' });
      // Postgres answers the commit of a transaction that an error has ended with a rollback, and no error.
      if (command !== 'COMMIT') throw new Error('work went on after a statement had failed');
      return result;
    } catch (error) {
      if (broken === undefined) {
        await sendWithin(of.patienceMs, { text: 'rollback' }).catch((lost: unknown) => {
          broken = lost instanceof Error ? lost : new Error(String(lost));
        });
      }
      throw error;
    }
  } catch (error) {
    throw translated(error);
  } finally {
    client?.off('error', onLost);
    client?.release(broken);
  }
}

/** How long whoever uses a pool waits. */
type Waits = Required<Pick<OpenOptions, 'patienceMs' | 'answerMs'>>;

const createBatch =
  (pool: pg.Pool, { patienceMs, answerMs }: Waits): Database['batch'] =>
  (tenant, work) => {
    const startClock = () => () => answerMs * BATCH_FACTOR;
    return transact(pool, { tenant, patienceMs, startClock }, (send) =>
      work(async (text, values = []) => (await send<SqlRow>({ text, values })).rows),
    );
  };

const createWithTenant = (
  pool: pg.Pool,
  { patienceMs, answerMs }: Waits,
): Database['withTenant'] => {
  const client = createTransactionClient();
  const startClock = (): LeftMs => {
    const endsAt = performance.now() + answerMs;
    return () => endsAt - performance.now();
  };
  return (tenant, work) =>
    transact(pool, { tenant, patienceMs, startClock }, (send) => client.use(send, work));
};

const createCall =
  (pool: pg.Pool, answerMs: number): Database['call'] =>
  async (sql, values) => {
    const statement = { text: sql, values, query_timeout: answerMs };
    try {
      return (await pool.query<SqlRow>(statement)).rows;
    } catch (error) {
      throw translated(error);
    }
  };

/** A process that stands still in a transaction holds locks that everyone waits for: its session ends first. */
const IDLE_MS = 10_000;

type Connected = Parameters<Extract<pg.Pool['connect'], (callback: never) => void>>[0];

/** Measures how long whoever asks a pool for a connection waits for it; failures are no wait. */
function measureWait(pool: pg.Pool, observe: (ms: number) => void): void {
  const connect = pool.connect.bind(pool);
  const timed = (callback?: Connected): Promise<pg.PoolClient> | undefined => {
    const since = performance.now();
    if (callback === undefined)
      return connect().then((client) => {
        observe(performance.now() - since);
        return client;
      });
    connect((error, client, done) => {
      if (client !== undefined) observe(performance.now() - since);
      callback(error, client, done);
    });
    return undefined;
  };
  pool.connect = timed as pg.Pool['connect'];
}

/**
 * A pool whose connections may be lost at any moment: a lost one is replaced at the next use. The listeners are there from
 * the first byte, because the end of a session that has just begun reaches whoever asked for it too late, and an error
 * without a listener would end the process.
 */
function openPool(config: pg.PoolConfig, observeWait: OpenOptions['observeWait']): pg.Pool {
  const pool = new pg.Pool(config);
  if (observeWait !== undefined) measureWait(pool, observeWait);
  pool.on('error', () => undefined);
  pool.on('connect', (client) => void client.on('error', () => undefined));
  return pool;
}

/** Opens the database as one role. */
export function openDatabase(options: OpenOptions): Database {
  const { patienceMs = 5_000, answerMs = ANSWER_MS } = options;
  const config = {
    connectionString: options.url,
    max: options.poolSize,
    application_name: options.applicationName,
    connectionTimeoutMillis: patienceMs,
    idle_in_transaction_session_timeout: IDLE_MS,
  };
  const pool = openPool(config, options.observeWait);
  const prismaPool = openPool(config, options.observeWait);
  const call = createCall(pool, answerMs);
  const listen: Database['listen'] = async (channel, handlers, signal) => {
    let connectedOnce = false;
    while (!signal.aborted) {
      const client = new pg.Client({ ...config, keepAlive: true });
      const onConnected = () => {
        if (connectedOnce) handlers.onReconnect?.();
        connectedOnce = true;
      };
      await follow(client, channel, { onNotice: handlers.onNotice, onConnected, signal });
      if (!signal.aborted) await pause(500, signal);
    }
  };
  return {
    withTenant: createWithTenant(prismaPool, { patienceMs, answerMs }),
    call,
    batch: createBatch(pool, { patienceMs, answerMs }),
    listen,
    tenants: async () =>
      (await call('select access_tenant_list() as tenant', [])).map((row) => String(row.tenant)),
    ping: async () => void (await call('select 1', [])),
    close: async () => {
      await Promise.all([pool.end(), prismaPool.end()]);
    },
  };
}
