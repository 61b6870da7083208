import { opendir } from 'node:fs/promises';
import type { BackupFolderFacts } from '../../domain/backup/backup-health.js';
import { listBackups, readManifest } from './manifest-file.js';
import { createRestorationLog } from './restoration-log.js';
import { listArchivedWal, walFolderOf } from './wal-archive.js';

/**
 * Lists take a folder that cannot be read for an empty one, in which no WAL would seem to be missing.
 * @throws where it is there and cannot be read
 */
async function requireReadable(folder: string): Promise<void> {
  try {
    await (await opendir(folder)).close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** A backup folder as it stands at each look. */
export function createBackupFolder(folder: string) {
  const { lastRestoredAtMs } = createRestorationLog(folder);
  // A manifest never changes once it is there, and may list many thousand files.
  let begun = new Map<string, number>();
  const begunAtMs = async (backup: string): Promise<number | undefined> => {
    const known = begun.get(backup);
    if (known !== undefined) return known;
    // A backup whose manifest is broken restores nothing: its figure is that of a backup which is not there.
    const read = await readManifest(backup).catch(() => undefined);
    return read === undefined ? undefined : Date.parse(read.manifest.startedAt);
  };
  return {
    /** @throws where its WAL or its log of restores is there and cannot be read */
    readBackupFolder: async (): Promise<BackupFolderFacts> => {
      await requireReadable(walFolderOf(folder));
      const found = new Map<string, number>();
      for (const backup of await listBackups(folder)) {
        const atMs = await begunAtMs(backup);
        if (atMs !== undefined) found.set(backup, atMs);
      }
      begun = found;
      const times = [...found.values()];
      return {
        oldestAtMs: times.length === 0 ? undefined : Math.min(...times),
        newestAtMs: times.length === 0 ? undefined : Math.max(...times),
        restoredAtMs: await lastRestoredAtMs(),
        walNames: await listArchivedWal(folder),
      };
    },
  };
}
