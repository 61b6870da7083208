import type { FromChild, ToChild } from './messages.js';

/** What a program of the harness can be asked for; inputs and answers are plain data. */
export type Calls = Record<string, (input: never) => Promise<unknown>>;

const tell = (message: FromChild): void => void process.send?.(message);

const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);

/** Answers calls of the supervisor until it goes away. */
export function serveCalls(calls: Calls): void {
  process.on('message', (message: ToChild) => {
    if (!('call' in message)) return;
    const { id, name, input } = message.call;
    const call = calls[name];
    const run = async () => {
      if (call === undefined) throw new Error(`no call ${name}`);
      return call(input as never);
    };
    run().then(
      (value) => tell({ reply: { id, value } }),
      (error: unknown) => tell({ reply: { id, error: textOf(error) } }),
    );
  });
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  tell({ ready: true });
}
