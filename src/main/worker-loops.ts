import { createBackupFolder } from '../adapters/backup/backup-folder.js';
import { openDatabase } from '../adapters/postgres/database.js';
import { createAuditStore } from '../adapters/postgres/audit.js';
import { createRelayStore } from '../adapters/postgres/events.js';
import { createPlatformHealth } from '../adapters/postgres/platform-health.js';
import { readKeyAges } from '../adapters/secrets/key-ages.js';
import { createQueueBacklogs } from '../adapters/temporal/queue-backlogs.js';
import { createCheckpointLoop, createSealerLoop } from '../activities/audit/index.js';
import { createBackupWatch } from '../activities/events/backup-watch.js';
import { createPlatformHealthLoop } from '../activities/events/platform-health-loop.js';
import { createRelayLoop } from '../activities/events/relay-loop.js';
import { taskQueues } from '../domain/task-queues.js';
import { requireUrl, type Parts } from './dependencies.js';
import { createEtlLoops } from './etl-loops.js';
import { reconcileLoop } from './reconcile.js';
import type { NamedLoop } from './run-loops.js';

const SWEEP_MS = 1_000;

/** Resolves at the next notice, at the sweep interval, or when the process stops. */
function createBell(signal: AbortSignal) {
  let ring: () => void = () => undefined;
  return {
    ring: () => ring(),
    next: (): Promise<void> =>
      new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, SWEEP_MS);
        signal.addEventListener('abort', done, { once: true });
        ring = done;
      }),
  };
}

/** The relay: claims as anneal_relay, starts and wakes through Temporal. */
function relay(parts: Parts, signal: AbortSignal): NamedLoop {
  const db = openDatabase({
    url: requireUrl(parts.config.postgres.relayUrl, 'ANNEAL_RELAY_DATABASE_URL'),
    poolSize: 2,
    applicationName: 'anneal-relay',
  });
  const bell = createBell(signal);
  void db.listen('intent', { onNotice: bell.ring, onReconnect: bell.ring }, signal);
  const loop = createRelayLoop({
    ...createRelayStore(db),
    ...parts.starter,
    nextDue: bell.next,
    log: parts.log,
  });
  const run = async (stopping: AbortSignal): Promise<void> => {
    try {
      await loop.run(stopping);
    } finally {
      await db.close();
    }
  };
  return { name: 'relay', loop: { ...loop, run } };
}

/** Shows how the platform stands as a whole. */
function platformHealth(parts: Parts): NamedLoop {
  const { readPlatformHealth, readCurrentWal } = createPlatformHealth(parts.db);
  const { backupDir } = parts.config;
  const backups =
    backupDir === undefined
      ? undefined
      : createBackupWatch({
          ...createBackupFolder(backupDir),
          readCurrentWal,
          nowMs: () => Date.now(),
          log: parts.log,
        });
  const loop = createPlatformHealthLoop({
    readPlatformHealth,
    readBackups: backups?.readBackups,
    publishBackups: parts.metrics.platform.publishBackups,
    ...createQueueBacklogs(parts.temporal.client, Object.values(taskQueues)),
    tenants: parts.db.tenants,
    readKeyAges: () => readKeyAges(parts.keyFolder, Date.now()),
    publish: parts.metrics.platform.publishHealth,
    log: parts.log,
  });
  return { name: 'platform-health', loop };
}

/** Loops of a worker by its roles; of `orchestration`: relay, audit sealer, audit checkpoints, reconciler. */
export function createWorkerLoops(parts: Parts, signal: AbortSignal): NamedLoop[] {
  const knowledge = createEtlLoops(parts);
  if (!parts.config.worker.roles.includes('orchestration')) return knowledge;
  const audit = createAuditStore(parts.db);
  const sealer = createSealerLoop({ ...audit, log: parts.log });
  const checkpoints = createCheckpointLoop({
    ...audit,
    readCheckpoints: parts.checkpoints.read,
    appendCheckpoints: parts.checkpoints.append,
    origin: `anneal/${parts.config.temporal.namespace}`,
    nowMs: () => Date.now(),
    log: parts.log,
  });
  parts.metrics.platform.watchCheckpoints(checkpoints);
  return [
    relay(parts, signal),
    { name: 'audit-sealer', loop: sealer },
    { name: 'audit-checkpoints', loop: checkpoints },
    platformHealth(parts),
    reconcileLoop(parts),
    ...knowledge,
  ];
}
