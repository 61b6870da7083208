import { setTimeout as delay } from 'node:timers/promises';
import {
  mergePlatformHealth,
  type KeyAge,
  type PlatformHealth,
  type QueueBacklog,
} from '../../domain/events/platform-health.js';
import type { Loop } from './relay-loop.js';

/** What the loop asks for. */
export interface PlatformHealthDeps {
  tenants: () => Promise<string[]>;
  readPlatformHealth: (tenant: string) => Promise<PlatformHealth>;
  readBacklogs: () => Promise<QueueBacklog[]>;
  readKeyAges: () => Promise<KeyAge[]>;
  /** Shows what was read, of all tenants together. */
  publish: (health: { stores: PlatformHealth; backlogs: QueueBacklog[]; keys: KeyAge[] }) => void;
  log: { warn: (facts: object, message: string) => void };
  /** Milliseconds between looks; 15,000. */
  intervalMs?: number | undefined;
}

/** Missed looks after which the loop counts as unhealthy. */
const MISSED = 4;

/** Reads what no process knows by itself, tenant by tenant, and publishes it. */
export function createPlatformHealthLoop(deps: PlatformHealthDeps): Loop {
  const intervalMs = deps.intervalMs ?? 15_000;
  let doneAtMs = performance.now();
  const look = async (): Promise<void> => {
    const all: PlatformHealth[] = [];
    for (const tenant of await deps.tenants()) all.push(await deps.readPlatformHealth(tenant));
    const [backlogs, keys] = [await deps.readBacklogs(), await deps.readKeyAges()];
    deps.publish({ stores: mergePlatformHealth(all), backlogs, keys });
    doneAtMs = performance.now();
  };
  return {
    healthy: () => performance.now() - doneAtMs < intervalMs * MISSED,
    run: async (signal) => {
      while (!signal.aborted) {
        try {
          await look();
        } catch (error) {
          deps.log.warn({ reason: String(error) }, 'platform: health cannot be read');
        }
        await delay(intervalMs, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}
