import type { FromChild, ToChild } from './messages.js';

let last = 0;
const waiting = new Map<number, (answer: unknown) => void>();
let listening = false;
let armed = new Set<string>();

function listen(): void {
  if (listening) return;
  listening = true;
  process.on('message', (message: ToChild) => {
    if ('armed' in message) armed = new Set(message.armed);
    if (!('pass' in message)) return;
    const { id, answer } = message.pass;
    waiting.get(id)?.(answer);
    waiting.delete(id);
  });
}

const tell = (message: FromChild): void => void process.send?.(message);

/**
 * The failpoint port in a process under chaos: says where the process is and goes on when the supervisor lets it, if it
 * ever does. Nothing in `src` knows it; the entries under `test/chaos` hand it to what asks for a failpoint.
 * @returns what the supervisor answers; undefined where nothing is armed
 */
export function announceFailpoint(point: string): Promise<unknown> {
  if (process.send === undefined) return Promise.resolve(undefined);
  listen();
  last += 1;
  const id = last;
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    tell({ failpoint: { id, point } });
  });
}

/** The same for places that are passed thousands of times: the supervisor hears of them only while it waits for one. */
export function announceIfArmed(point: string): Promise<unknown> {
  listen();
  return armed.has(point) ? announceFailpoint(point) : Promise.resolve(undefined);
}

/** Resolves when the supervisor says that the process shall begin; everything is loaded before that. */
export function untilBegin(): Promise<void> {
  if (process.send === undefined) return Promise.resolve();
  listen();
  return new Promise((resolve) => {
    // Nobody is left to say it, or to end what has begun.
    const giveUp = () => process.kill(process.pid, 'SIGKILL');
    const onMessage = (message: ToChild) => {
      if (!('begin' in message)) return;
      process.off('message', onMessage).off('disconnect', giveUp);
      resolve();
    };
    process.on('message', onMessage);
    process.once('disconnect', giveUp);
    tell({ loaded: true });
  });
}
