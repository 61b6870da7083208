import { AsyncLocalStorage } from 'node:async_hooks';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { PrismaClient, type Prisma } from './generated/client.js';

/** Sends one statement over the connection of an open transaction; refuses once that is over. */
export type Send = <Row extends pg.QueryResultRow>(
  statement: pg.QueryConfig,
) => Promise<pg.QueryResult<Row>>;

/** What Prisma's adapter takes for a pool: it has no connection of its own. */
class Line extends pg.Pool {
  constructor(send: Send) {
    super();
    this.query = send as pg.Pool['query'];
  }
}

/** Statements of one operation that Prisma would put into a transaction are in one already: it neither begins nor ends it. */
async function connectTo(line: Line) {
  const adapter = await new PrismaPg(line).connect();
  const inside = Object.assign(Object.create(adapter) as typeof adapter, {
    options: { usePhantomQuery: true },
    commit: () => Promise.resolve(),
    rollback: () => Promise.resolve(),
  });
  return Object.assign(adapter, { startTransaction: () => Promise.resolve(inside) });
}

/**
 * Prisma sends lookups of one turn of the event loop as one query, in the context of the first: those of two transactions would
 * be one. There is no option for it; the tests of this file fail where a later Prisma keeps it elsewhere.
 */
function asksOneByOne(client: PrismaClient): void {
  const { _requestHandler: handler } = client as unknown as {
    _requestHandler: { dataloader: { options: { batchBy: () => undefined } } };
  };
  handler.dataloader.options.batchBy = () => undefined;
}

/**
 * A query that is sent when it is first awaited. Prisma's own has an accessor in an object literal, so each gets a hidden class
 * that V8 makes in the old generation, and which keeps query and rows until the next full collection.
 */
function sendLazily<T>(run: () => PromiseLike<T>, spec: unknown) {
  let sent: PromiseLike<T> | undefined;
  const send = async (): Promise<T> => (sent ??= run());
  return {
    spec,
    then: (...on: Parameters<Promise<T>['then']>) => send().then(...on),
    catch: (...on: Parameters<Promise<T>['catch']>) => send().catch(...on),
    finally: (...on: Parameters<Promise<T>['finally']>) => send().finally(...on),
    [Symbol.toStringTag]: 'PrismaPromise',
  };
}

/** Where a later Prisma keeps this elsewhere its own are made again, and a test fails. */
function asksLazily(client: PrismaClient): void {
  Object.assign(client, { _createPrismaPromise: sendLazily });
}

/**
 * A Prisma client for transactions that others begin and end: a statement goes over the connection of the transaction in whose
 * async context its query was awaited. A client that Prisma makes for an interactive transaction of its own costs more than its
 * queries (docs/decisions/2026-11-22-prisma-in-our-transactions.md); this one is there for all of them.
 */
export function createTransactionClient() {
  const open = new AsyncLocalStorage<Send>();
  const line = new Line((statement) => {
    const send = open.getStore();
    if (send === undefined) return Promise.reject(new Error('a query outside withTenant'));
    return send(statement);
  });
  const { provider, adapterName } = new PrismaPg(line);
  const client = new PrismaClient({
    adapter: { provider, adapterName, connect: () => connectTo(line) },
  });
  asksOneByOne(client);
  asksLazily(client);
  return {
    // Prisma's promises send their query when they are awaited: that has to be in here.
    use: <T>(send: Send, work: (tx: Prisma.TransactionClient) => Promise<T>): Promise<T> =>
      open.run(send, async () => await work(client)),
  };
}
