import { mkdir, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { findWalPath, type WalPath } from '../../domain/backup/wal-path.js';
import {
  checkSealedFile,
  openSealedFile,
  readSealedFile,
  SealedFileError,
  sealFile,
  type FileKey,
  type FileKeys,
} from './sealed-file.js';

/** What Postgres hands over: segments, partial ones, histories of timelines, labels of backups. */
const walName = /^(?:[0-9A-F]{24}(?:\.partial|\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history)$/;
const SEALED = '.sealed';

/** Where a backup folder keeps sealed WAL. */
export const walFolderOf = (backupFolder: string): string => join(backupFolder, 'wal');

/** The name that a WAL file is sealed under. */
const walSealName = (name: string): string => `wal/${name}`;

/** Names of the WAL files that a backup folder holds, sorted. */
export async function listArchivedWal(backupFolder: string): Promise<string[]> {
  const names = await readdir(walFolderOf(backupFolder)).catch(() => []);
  return names
    .filter((name) => name.endsWith(SEALED))
    .map((name) => name.slice(0, -SEALED.length))
    .sort();
}

/** The stored path of one of them. */
const archivedWalPath = (backupFolder: string, name: string): string =>
  join(walFolderOf(backupFolder), `${name}${SEALED}`);

/** Decrypts an archived file to `to`. WAL goes on under a newer key once that was rotated: each file says which. */
export const openArchivedWal = (
  backupFolder: string,
  name: string,
  { to, keys }: { to: string; keys: FileKeys },
): Promise<void> =>
  openSealedFile(archivedWalPath(backupFolder, name), to, {
    keys,
    name: walSealName(name),
    isDurable: false,
  });

/** The WAL that a restore of a base backup reads from the archive, and where it ends. */
export async function readWalPath(
  backupFolder: string,
  lastWal: string,
  keys: FileKeys,
): Promise<WalPath> {
  const names = await listArchivedWal(backupFolder);
  const histories = new Map<number, string>();
  for (const name of names.filter((each) => each.endsWith('.history'))) {
    const opening = { keys, name: walSealName(name) };
    const content = await readSealedFile(archivedWalPath(backupFolder, name), opening);
    histories.set(Number.parseInt(name, 16), content.toString('utf8'));
  }
  return findWalPath({ lastWal, names, histories });
}

/** Where a sealed WAL file lies, as it is said to people. */
const saidPath = (name: string): string => `../wal/${name}${SEALED}`;

/**
 * Opens every archived file that a restore of a base backup, or of its later timelines, may read, and looks for gaps.
 * @returns the first fault, its path as seen from the backup
 */
export async function checkArchivedWal(
  backupFolder: string,
  { firstWal, lastWal }: { firstWal: string; lastWal: string },
  keys: FileKeys,
): Promise<{ end: string; fault: { path: string; detail: string } | null }> {
  for (const name of await listArchivedWal(backupFolder)) {
    if (!name.endsWith('.history') && name.slice(8, 24) < firstWal.slice(8)) continue;
    try {
      await checkSealedFile(archivedWalPath(backupFolder, name), { keys, name: walSealName(name) });
    } catch (error) {
      if (!(error instanceof SealedFileError)) throw error;
      return { end: lastWal, fault: { path: saidPath(name), detail: error.detail } };
    }
  }
  const { end, gap } = await readWalPath(backupFolder, lastWal, keys);
  if (gap === null) return { end, fault: null };
  const goesOn = gap.next === null ? '' : `, although WAL goes on at ${gap.next}`;
  const detail = `is missing${goesOn}: a restore ends with ${end}`;
  return { end, fault: { path: saidPath(gap.missing), detail } };
}

/** How WAL is taken. */
interface Shipping {
  key: FileKey;
  /** Done once it is known what is taken, and before: brings along whatever that WAL names. */
  before: () => Promise<void>;
}

/**
 * Takes what Postgres has archived into a folder beside its cluster, seals it into the backup folder, and then lets it
 * go: it is on the disk there before it is gone here.
 * @returns how many files were taken
 */
export async function shipWal(
  staging: string,
  backupFolder: string,
  { key, before }: Shipping,
): Promise<number> {
  const names = (await readdir(staging).catch(() => [])).filter((name) => walName.test(name));
  if (names.length === 0) return 0;
  await before();
  await mkdir(walFolderOf(backupFolder), { recursive: true, mode: 0o700 });
  for (const name of names.sort()) {
    const from = join(staging, name);
    const seal = { key, name: walSealName(name) };
    await sealFile(from, archivedWalPath(backupFolder, name), seal);
    await unlink(from);
  }
  return names.length;
}
