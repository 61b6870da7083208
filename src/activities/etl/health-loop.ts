import { mergeHealth, type KnowledgeHealth } from '../../domain/etl/knowledge-health.js';
import { createPassLoop, type Loop } from '../pass-loop.js';

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

/** Reads what only the ledger knows of freshness and wholeness, tenant by tenant, and publishes the sum. */
export const createHealthLoop = (deps: HealthDeps): Loop =>
  createPassLoop({
    intervalMs: deps.intervalMs ?? 15_000,
    pass: async (signal) => {
      const all: KnowledgeHealth[] = [];
      for (const tenant of await deps.tenants()) {
        if (signal.aborted) return;
        all.push(await deps.readHealth(tenant));
      }
      deps.publish(mergeHealth(all));
    },
    failed: (error) => deps.log.warn({ reason: String(error) }, 'etl: health cannot be read'),
  });
