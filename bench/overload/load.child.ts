import { Agent, request } from 'node:http';
import type { LoadOrder, LoadResult, Outcome, Shot } from './load-order.js';

// The callers, in a process of their own: an API that does not answer must not slow down who asks.

const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
let sent = 0;

/** One request; an error is an outcome too. */
function fire(url: string, shot: Shot): Promise<Outcome> {
  const at = performance.now();
  const n = (sent += 1);
  const { method, path, key, body } = shot;
  const text = body?.replaceAll('{n}', `${process.pid}-${n}`);
  const headers = {
    authorization: `Bearer ${key}`,
    ...(text === undefined
      ? {}
      : {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
          'idempotency-key': `${process.pid}-${n}`,
        }),
  };
  return new Promise((resolve) => {
    const end = (status: number, retryAfter: boolean) =>
      resolve({ status, retryAfter, ms: performance.now() - at });
    const made = request(new URL(path, url), { agent, method, headers }, (response) => {
      response.resume().once('end', () => {
        const { statusCode = 0, headers: answered } = response;
        end(statusCode, answered['retry-after'] !== undefined);
      });
    });
    made.once('error', () => end(0, false)).end(text);
  });
}

const shotAt = ({ shots }: LoadOrder, n: number): Shot => {
  const shot = shots[n % shots.length];
  if (shot === undefined) throw new Error('no shots');
  return shot;
};

/** So many callers that each wait for their answer before they ask again. */
async function closedLoop(order: LoadOrder, callers: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const until = performance.now() + order.ms;
  let n = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < until) outcomes.push(await fire(order.url, shotAt(order, n++)));
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return outcomes;
}

/** So many requests a second, whatever becomes of those before them. */
async function openLoop(order: LoadOrder, perSecond: number): Promise<Outcome[]> {
  const all: Promise<Outcome>[] = [];
  const since = performance.now();
  const total = Math.floor((order.ms * perSecond) / 1_000);
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(total, Math.floor(((performance.now() - since) * perSecond) / 1_000));
      while (all.length < due) all.push(fire(order.url, shotAt(order, all.length)));
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
  const work =
    'callers' in load ? closedLoop(order, load.callers) : openLoop(order, load.perSecond);
  void work.then((outcomes) => {
    const result: LoadResult = { seconds: (performance.now() - since) / 1_000, outcomes };
    process.send?.(result);
  });
});
process.on('disconnect', () => process.exit());
