import { Pool, type Dispatcher } from 'undici';
import type { LoadOrder, LoadResult, Outcome, Shot } from './load-order.js';

// The callers, in a process of their own: an API that does not answer must not slow down who asks. They share the machine with
// it, so they ask with as little work as there is: a pool of connections, answers read and thrown away.

let pool: Pool | undefined;
let sent = 0;

const headersOf = (shot: Shot, n: number): Record<string, string> => ({
  authorization: `Bearer ${shot.key}`,
  ...(shot.body === undefined
    ? {}
    : { 'content-type': 'application/json', 'idempotency-key': `${process.pid}-${n}` }),
});

/** One request; an error is an outcome too. */
function fire(callers: Pool, shot: Shot): Promise<Outcome> {
  const at = performance.now();
  const n = (sent += 1);
  const { method, path } = shot;
  const body = shot.body?.replaceAll('{n}', `${process.pid}-${n}`);
  return new Promise((resolve) => {
    const outcome: Outcome = { status: 0, retryAfter: false, ms: 0 };
    const end = () => resolve({ ...outcome, ms: performance.now() - at });
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: () => undefined,
      onResponseStart: (_controller, status, headers) => {
        outcome.status = status;
        outcome.retryAfter = headers['retry-after'] !== undefined;
      },
      onResponseData: () => undefined,
      onResponseEnd: end,
      onResponseError: () => {
        outcome.status = 0;
        end();
      },
    };
    callers.dispatch({ method, path, headers: headersOf(shot, n), ...(body && { body }) }, handler);
  });
}

const shotAt = ({ shots }: LoadOrder, n: number): Shot => {
  const shot = shots[n % shots.length];
  if (shot === undefined) throw new Error('no shots');
  return shot;
};

/** So many callers that each wait for their answer before they ask again. */
async function closedLoop(at: Pool, order: LoadOrder, callers: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const until = performance.now() + order.ms;
  let n = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < until) outcomes.push(await fire(at, shotAt(order, n++)));
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return outcomes;
}

/** So many requests a second, whatever becomes of those before them. */
async function openLoop(at: Pool, order: LoadOrder, perSecond: number): Promise<Outcome[]> {
  const all: Promise<Outcome>[] = [];
  const since = performance.now();
  const total = Math.floor((order.ms * perSecond) / 1_000);
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(total, Math.floor(((performance.now() - since) * perSecond) / 1_000));
      while (all.length < due) all.push(fire(at, shotAt(order, all.length)));
      if (all.length < total) return;
      clearInterval(timer);
      resolve();
    }, 2);
  });
  return Promise.all(all);
}

process.on('message', (order: LoadOrder) => {
  const since = performance.now();
  const { load } = order;
  pool ??= new Pool(order.url, { connections: null, pipelining: 1 });
  const work =
    'callers' in load
      ? closedLoop(pool, order, load.callers)
      : openLoop(pool, order, load.perSecond);
  void work.then((outcomes) => {
    const result: LoadResult = { seconds: (performance.now() - since) / 1_000, outcomes };
    process.send?.(result);
  });
});
process.on('disconnect', () => process.exit());
