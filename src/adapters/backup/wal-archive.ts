import { mkdir, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { sealFile } from './sealed-file.js';

/** What Postgres hands over: segments, partial ones, histories of timelines, labels of backups. */
const walName = /^(?:[0-9A-F]{24}(?:\.partial|\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history)$/;
const SEALED = '.sealed';

/** Where a backup folder keeps sealed WAL. */
const walFolderOf = (backupFolder: string): string => join(backupFolder, 'wal');

/** The name that a WAL file is sealed under. */
export const walSealName = (name: string): string => `wal/${name}`;

/** Names of the WAL files that a backup folder holds, sorted. */
export async function listArchivedWal(backupFolder: string): Promise<string[]> {
  const names = await readdir(walFolderOf(backupFolder)).catch(() => []);
  return names
    .filter((name) => name.endsWith(SEALED))
    .map((name) => name.slice(0, -SEALED.length))
    .sort();
}

/** The stored path of one of them. */
export const archivedWalPath = (backupFolder: string, name: string): string =>
  join(walFolderOf(backupFolder), `${name}${SEALED}`);

/**
 * Takes what Postgres has archived into a folder beside its cluster, seals it into the backup folder, and then lets it
 * go: it is on the disk there before it is gone here.
 * @returns how many files were taken
 */
export async function shipWal(
  staging: string,
  backupFolder: string,
  key: Uint8Array,
): Promise<number> {
  const names = (await readdir(staging).catch(() => [])).filter((name) => walName.test(name));
  await mkdir(walFolderOf(backupFolder), { recursive: true, mode: 0o700 });
  for (const name of names.sort()) {
    const from = join(staging, name);
    const seal = { key, name: walSealName(name) };
    await sealFile(from, archivedWalPath(backupFolder, name), seal);
    await unlink(from);
  }
  return names.length;
}
