import { join } from 'node:path';
import { fileKeyOf } from '../adapters/backup/sealed-file.js';
import { shipWal } from '../adapters/backup/wal-archive.js';
import { createBackupKeys } from '../adapters/secrets/file-provider.js';
import { createPassLoop } from '../activities/pass-loop.js';
import { WAL_STAGING } from './dev-services.js';

const EVERY_MS = 2_000;

/** Seals what Postgres archives into the backup folder until it is stopped; a last pass takes what is there then. */
export function keepShippingWal(parts: {
  clusterDir: string;
  stateDir: string;
  backupDir: string;
  say: (line: string) => void;
}): { stop: () => Promise<void> } {
  const { stateDir, backupDir, say } = parts;
  const keys = createBackupKeys(join(stateDir, 'keys'));
  const pass = async (): Promise<void> => {
    const { key } = await keys();
    await shipWal(join(parts.clusterDir, WAL_STAGING), backupDir, fileKeyOf(key.reveal()));
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
