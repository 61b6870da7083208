import { createEtlHealth } from '../adapters/postgres/etl-health.js';
import { createHealthLoop } from '../activities/etl/health-loop.js';
import type { Parts } from './dependencies.js';
import type { NamedLoop } from './run-loops.js';

/** Loops of `etl`: its health, with the role `orchestration`. */
export function createEtlLoops(parts: Parts): NamedLoop[] {
  const { config, db, log, metrics } = parts;
  const { roles } = config.worker;
  if (!roles.includes('orchestration')) return [];
  const health = createHealthLoop({
    ...createEtlHealth(db),
    tenants: db.tenants,
    publish: metrics.knowledge.publishHealth,
    log,
  });
  return [{ name: 'etl-health', loop: health }];
}
