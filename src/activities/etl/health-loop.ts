import { setTimeout as delay } from 'node:timers/promises';
import { mergeHealth, type KnowledgeHealth } from '../../domain/etl/knowledge-health.js';

/** What the health loop asks for. */
export interface HealthDeps {
  tenants: () => Promise<string[]>;
  readHealth: (tenant: string) => Promise<KnowledgeHealth>;
  /** Shows what was read of all tenants together. */
  publish: (health: KnowledgeHealth) => void;
  log: { warn: (facts: object, message: string) => void };
  /** Milliseconds between looks; 15,000. */
  intervalMs?: number | undefined;
}

/** Missed looks after which the loop counts as unhealthy. */
const MISSED = 4;

/** Reads what only the ledger knows of freshness and wholeness, tenant by tenant, and publishes the sum. */
export function createHealthLoop(deps: HealthDeps) {
  const intervalMs = deps.intervalMs ?? 15_000;
  let doneAtMs = performance.now();
  const look = async (signal: AbortSignal): Promise<void> => {
    const all: KnowledgeHealth[] = [];
    for (const tenant of await deps.tenants()) {
      if (signal.aborted) return;
      all.push(await deps.readHealth(tenant));
    }
    deps.publish(mergeHealth(all));
    doneAtMs = performance.now();
  };
  return {
    healthy: (): boolean => performance.now() - doneAtMs < intervalMs * MISSED,
    run: async (signal: AbortSignal): Promise<void> => {
      while (!signal.aborted) {
        try {
          await look(signal);
        } catch (error) {
          deps.log.warn({ reason: String(error) }, 'etl: health cannot be read');
        }
        await delay(intervalMs, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}
