import {
  judgeBackups,
  judgeShipping,
  unreadableBackups,
  type BackupFolderFacts,
  type BackupHealth,
  type SeenSegment,
} from '../../domain/backup/backup-health.js';

/** What the watch asks for. */
export interface BackupWatchDeps {
  readBackupFolder: () => Promise<BackupFolderFacts>;
  /** Name of the segment of WAL that Postgres writes. */
  readCurrentWal: () => Promise<string>;
  nowMs: () => number;
  log: { warn: (facts: object, message: string) => void };
}

/** Looks at the backups of an installation from outside and remembers from look to look which segments it saw. */
export function createBackupWatch({
  readBackupFolder,
  readCurrentWal,
  nowMs,
  log,
}: BackupWatchDeps) {
  let seen: SeenSegment[] = [];
  return {
    /** @throws where Postgres does not answer: nothing is written then, and what was missing grows older */
    readBackups: async (): Promise<BackupHealth> => {
      // Before the folder: what becomes complete between the two looks may be archived, but nobody takes it for missing.
      const current = await readCurrentWal();
      let facts: BackupFolderFacts;
      try {
        facts = await readBackupFolder();
      } catch (error) {
        log.warn({ reason: String(error) }, 'platform: backups cannot be read');
        return unreadableBackups;
      }
      const shipping = judgeShipping(seen, { current, walNames: facts.walNames, nowMs: nowMs() });
      seen = shipping.seen;
      return { ...judgeBackups(facts), unshippedSinceMs: shipping.unshippedSinceMs };
    },
  };
}
