import { join } from 'node:path';
import { createStateMirror } from '../adapters/backup/state-mirror.js';
import { shipWal } from '../adapters/backup/wal-archive.js';
import { createBackupKeys } from '../adapters/secrets/file-provider.js';
import { createPassLoop } from '../activities/pass-loop.js';
import { toFileKey } from './backup-keys.js';
import { WAL_STAGING } from './dev-services.js';

const EVERY_MS = 2_000;

/**
 * Seals what Postgres archives into the backup folder until it is stopped, and before it the artifacts that it may name; a last
 * pass takes what is there then.
 */
export function keepShippingWal(parts: {
  clusterDir: string;
  stateDir: string;
  backupDir: string;
  say: (line: string) => void;
}): { stop: () => Promise<void> } {
  const { stateDir, backupDir, say } = parts;
  const mirror = createStateMirror({ stateDir, backupDir });
  const pass = async (): Promise<void> => {
    // Read anew: a key that was rotated is the one from the next segment on.
    const key = toFileKey(await createBackupKeys(join(stateDir, 'keys'))());
    const before = () => mirror.shipArtifacts(key);
    await mirror.shipCheckpoints(key);
    // What was made while a backup was written is in neither, and its WAL may be gone already.
    if (await mirror.lookForBackup()) await before();
    await shipWal(join(parts.clusterDir, WAL_STAGING), backupDir, { key, before });
  };
  let said = '';
  const stopping = new AbortController();
  const loop = createPassLoop({
    pass,
    intervalMs: EVERY_MS,
    failed: (error) => {
      if (said !== String(error)) say(`WAL is not archived: ${String(error)}`);
      said = String(error);
    },
  });
  const ended = loop.run(stopping.signal);
  return {
    stop: async () => {
      stopping.abort();
      await ended;
      await pass();
    },
  };
}
