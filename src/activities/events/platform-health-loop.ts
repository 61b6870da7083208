import type { BackupHealth } from '../../domain/backup/backup-health.js';
import {
  mergePlatformHealth,
  type KeyAge,
  type PlatformHealth,
  type QueueBacklog,
} from '../../domain/events/platform-health.js';
import { createPassLoop, type Loop } from '../pass-loop.js';

/** What the loop asks for. */
export interface PlatformHealthDeps {
  tenants: () => Promise<string[]>;
  readPlatformHealth: (tenant: string) => Promise<PlatformHealth>;
  readBacklogs: () => Promise<QueueBacklog[]>;
  readKeyAges: () => Promise<KeyAge[]>;
  /** How the backups stand, where the installation has a folder of them. */
  readBackups?: (() => Promise<BackupHealth>) | undefined;
  publishBackups: (health: BackupHealth) => void;
  /** Shows what was read, of all tenants together. */
  publish: (health: { stores: PlatformHealth; backlogs: QueueBacklog[]; keys: KeyAge[] }) => void;
  log: { warn: (facts: object, message: string) => void };
  /** Milliseconds between looks; 15,000. */
  intervalMs?: number | undefined;
}

/** Reads what no process knows by itself, tenant by tenant, and publishes it. */
export const createPlatformHealthLoop = (deps: PlatformHealthDeps): Loop =>
  createPassLoop({
    intervalMs: deps.intervalMs ?? 15_000,
    pass: async () => {
      // First: WAL is written and lost while Temporal is away, too.
      if (deps.readBackups !== undefined) deps.publishBackups(await deps.readBackups());
      const all: PlatformHealth[] = [];
      for (const tenant of await deps.tenants()) all.push(await deps.readPlatformHealth(tenant));
      const [backlogs, keys] = [await deps.readBacklogs(), await deps.readKeyAges()];
      deps.publish({ stores: mergePlatformHealth(all), backlogs, keys });
    },
    failed: (error) => deps.log.warn({ reason: String(error) }, 'platform: health cannot be read'),
  });
