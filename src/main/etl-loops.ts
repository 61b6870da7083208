import { createFolderWatch } from '../adapters/folder-source/folder-watch.js';
import { createEtlDueWork } from '../adapters/postgres/etl-due-work.js';
import { createEtlHealth } from '../adapters/postgres/etl-health.js';
import { createEtlRetention } from '../adapters/postgres/etl-retention.js';
import { createSchedules } from '../adapters/temporal/schedules.js';
import { createFolderWatchLoop } from '../activities/etl/folder-watch-loop.js';
import { createHealthLoop } from '../activities/etl/health-loop.js';
import { createRetentionLoop } from '../activities/etl/retention-loop.js';
import { createScheduleLoop } from '../activities/etl/schedule-loop.js';
import type { Parts } from './dependencies.js';
import { limitsOf, type Knowledge } from './knowledge.js';
import type { NamedLoop } from './run-loops.js';

/** Loops of `etl`: with the role `orchestration` its health, the Schedules of work by the clock, and retention. */
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
  const retention = createRetentionLoop({ ...createEtlRetention(db), tenants: db.tenants, log });
  return [
    { name: 'etl-health', loop: health },
    { name: 'etl-schedules', loop: schedules },
    { name: 'etl-retention', loop: retention },
  ];
}

/** The watch over folders, with the role `etl`: where folders are read. */
export function createFolderLoops(
  { config, db, log }: Parts,
  { ledger, shards, processId }: Pick<Knowledge, 'ledger' | 'shards'> & { processId: string },
): NamedLoop[] {
  if (!config.worker.roles.includes('etl')) return [];
  const { recordChanges, findSource } = ledger;
  const loop = createFolderWatchLoop({
    ...createFolderWatch({ roots: config.etl.sourceFolders }),
    ...createEtlDueWork(db, limitsOf(config)),
    ...{ recordChanges, findSource, shards, processId, log },
    tenants: db.tenants,
  });
  return [{ name: 'etl-folders', loop }];
}
