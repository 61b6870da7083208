import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, type Registry } from 'prom-client';
import {
  divergenceActions,
  divergenceKinds,
  type DivergenceAction,
  type DivergenceKind,
} from '../domain/reconcile/contract.js';
import type { BackupHealth } from '../domain/backup/backup-health.js';
import type { KeyAge, PlatformHealth, QueueBacklog } from '../domain/events/platform-health.js';

/** How late timers of this process fire: the 99th percentile since the last scrape. */
function createLoopLag(registers: Registry[]): void {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  new Gauge({
    name: 'anneal_event_loop_lag_seconds',
    help: '99th percentile of the event loop delay since the last scrape.',
    registers,
    collect() {
      const seconds = delay.percentile(99) / 1e9;
      this.set(Number.isFinite(seconds) ? seconds : 0);
      delay.reset();
    },
  });
}

/** What the stores and the engine say of the platform as a whole: written by the workers with the role `orchestration`. */
function createHealthGauges(registers: Registry[]) {
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge({ name, help, labelNames, registers });
  const outbox = gauge(
    'anneal_outbox_oldest_seconds',
    'Age past its due time of the oldest committed start or wake that was not carried out.',
    ['kind'],
  );
  const backlogTasks = gauge('anneal_backlog_tasks', 'Tasks that wait for a worker.', ['queue']);
  const backlogAge = gauge(
    'anneal_backlog_age_seconds',
    'Age of the oldest task that waits for a worker.',
    ['queue'],
  );
  const unknown = gauge(
    'anneal_unknown_effects',
    'Inferences past their deadline that nothing has settled; of each tenant at most 10,000.',
  );
  const unknownAge = gauge(
    'anneal_unknown_effects_oldest_seconds',
    'Age past its deadline of the oldest inference that nothing has settled.',
  );
  const missing = gauge(
    'anneal_decision_rows_missing',
    'Settled inferences without a decision row, among the newest 1,000 of each tenant.',
  );
  const keyAge = gauge(
    'anneal_key_age_seconds',
    'Age of the newest version of a kind of key; of tenants’ keys that of the oldest.',
    ['key'],
  );
  return (health: { stores: PlatformHealth; backlogs: QueueBacklog[]; keys: KeyAge[] }): void => {
    const { stores, backlogs, keys } = health;
    outbox.set({ kind: 'start' }, stores.startOldestSeconds);
    outbox.set({ kind: 'wake' }, stores.wakeOldestSeconds);
    unknown.set(stores.unknownEffects);
    unknownAge.set(stores.unknownOldestSeconds);
    missing.set(stores.missingDecisions);
    for (const { queue, tasks, ageSeconds } of backlogs) {
      backlogTasks.set({ queue }, tasks);
      backlogAge.set({ queue }, ageSeconds);
    }
    for (const { key, seconds } of keys) keyAge.set({ key }, seconds);
  };
}

/** How the backups stand, by the workers with the role `orchestration` that know their folder; no series elsewhere. */
function createBackupGauges(registers: Registry[]) {
  let known: BackupHealth | undefined;
  // Read at the scrape: where a look fails, its figure goes on to age.
  const gauge = (name: string, help: string, since: (health: BackupHealth) => number | undefined) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        if (known === undefined) return this.remove();
        this.set(Math.max(0, Date.now() - (since(known) ?? Infinity)) / 1_000);
      },
    });
  gauge(
    'anneal_backup_age_seconds',
    'Time since the newest finished backup began; +Inf where there is none.',
    ({ backedUpAtMs }) => backedUpAtMs,
  );
  gauge(
    'anneal_backup_unrehearsed_seconds',
    'Time since a backup was last restored, or since the oldest began where none ever was; +Inf where there is none.',
    ({ rehearsedAtMs }) => rehearsedAtMs,
  );
  gauge(
    'anneal_wal_unshipped_seconds',
    'Time that the oldest complete segment of WAL is missing from the backup folder; 0 where none is.',
    ({ unshippedSinceMs }) => unshippedSinceMs,
  );
  return (health: BackupHealth): void => {
    known = health;
  };
}

/** What the reconciler found between Postgres and Temporal. */
function createDivergenceMetrics(registers: Registry[]) {
  const open = new Gauge({
    name: 'anneal_reconciler_divergences',
    help: 'Differences between Postgres and Temporal that wait for a person.',
    labelNames: ['kind'],
    registers,
  });
  const found = new Counter({
    name: 'anneal_reconciler_found_total',
    help: 'Differences between Postgres and Temporal that were found, by what was done at once.',
    labelNames: ['kind', 'outcome'],
    registers,
  });
  for (const kind of divergenceKinds) {
    open.set({ kind }, 0);
    for (const action of divergenceActions) found.inc({ kind, outcome: action.toLowerCase() }, 0);
  }
  return {
    countDivergence: (kind: DivergenceKind, action: DivergenceAction) =>
      found.inc({ kind, outcome: action.toLowerCase() }),
    publishDivergences: (counts: readonly { kind: string; count: number }[]) => {
      for (const kind of divergenceKinds)
        open.set(
          { kind },
          counts.reduce((sum, one) => sum + (one.kind === kind ? one.count : 0), 0),
        );
    },
  };
}

/** What every process shows of itself, and what the orchestration workers show of all. */
export function createPlatformMetrics(registry: Registry) {
  const registers = [registry];
  createLoopLag(registers);
  const ready = new Gauge({
    name: 'anneal_ready',
    help: '1 where a readiness check of this process is well, else 0.',
    labelNames: ['check'],
    registers,
  });
  // Read at the scrape: a loop that stopped would leave its last figure standing.
  let checkpoints = { lagMs: () => 0, brokenChains: () => 0 };
  new Gauge({
    name: 'anneal_audit_checkpoint_lag_seconds',
    help: 'Time since every due audit checkpoint was on the disk.',
    registers,
    collect() {
      this.set(checkpoints.lagMs() / 1_000);
    },
  });
  new Gauge({
    name: 'anneal_audit_broken_chains',
    help: 'Audit chains that contradict their last checkpoint.',
    registers,
    collect() {
      this.set(checkpoints.brokenChains());
    },
  });
  const verifications = new Counter({
    name: 'anneal_audit_verifications_total',
    help: 'Verifications of audit chains that somebody asked for.',
    labelNames: ['outcome'],
    registers,
  });
  for (const outcome of ['intact', 'broken']) verifications.inc({ outcome }, 0);
  const divergences = createDivergenceMetrics(registers);
  return {
    ...divergences,
    setReady: (check: string, isWell: boolean) => ready.set({ check }, isWell ? 1 : 0),
    watchCheckpoints: (loop: typeof checkpoints) => {
      checkpoints = loop;
    },
    countVerification: (outcome: 'intact' | 'broken') => verifications.inc({ outcome }),
    publishHealth: createHealthGauges(registers),
    publishBackups: createBackupGauges(registers),
  };
}
