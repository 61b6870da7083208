import { createEtlDueWork } from '../adapters/postgres/etl-due-work.js';
import { createEtlHealth } from '../adapters/postgres/etl-health.js';
import { createSchedules } from '../adapters/temporal/schedules.js';
import { createHealthLoop } from '../activities/etl/health-loop.js';
import { createScheduleLoop } from '../activities/etl/schedule-loop.js';
import type { Parts } from './dependencies.js';
import type { NamedLoop } from './run-loops.js';

/** Loops of `etl`: with the role `orchestration` its health, and the Schedules of work by the clock. */
export function createEtlLoops(parts: Parts): NamedLoop[] {
  const { config, db, log, metrics, temporal } = parts;
  const { roles } = config.worker;
  if (!roles.includes('orchestration')) return [];
  const health = createHealthLoop({
    ...createEtlHealth(db),
    tenants: db.tenants,
    publish: metrics.knowledge.publishHealth,
    log,
  });
  const schedules = createScheduleLoop({
    ...createSchedules(temporal.client),
    ...createEtlDueWork(db),
    tenants: db.tenants,
    log,
  });
  return [
    { name: 'etl-health', loop: health },
    { name: 'etl-schedules', loop: schedules },
  ];
}
