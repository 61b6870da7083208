import { createRelayLoop } from '../../src/activities/events/relay-loop.js';
import { createRelayStore } from '../../src/adapters/postgres/events.js';
import type { Starter } from '../../src/adapters/temporal/starter.js';
import type { TestDatabase } from './database.js';

const SWEEP_MS = 100;

/** The relay as a worker of role `orchestration` runs it, looking ten times a second. */
export function startRelay(
  { relay }: Pick<TestDatabase, 'relay'>,
  starter: Starter,
): { stop: () => Promise<void> } {
  const stopping = new AbortController();
  const ended = createRelayLoop({
    ...createRelayStore(relay),
    ...starter,
    nextDue: (signal) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, SWEEP_MS);
        signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
      }),
    log: { warn: () => undefined },
  }).run(stopping.signal);
  return {
    stop: async () => {
      stopping.abort();
      await ended;
    },
  };
}
