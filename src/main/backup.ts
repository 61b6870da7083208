import { link, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { listFiles } from '../adapters/backup/list-files.js';
import { listBackups, readManifest, writeManifest } from '../adapters/backup/manifest-file.js';
import { digestFile, sealFile, syncFile, type FileKey } from '../adapters/backup/sealed-file.js';
import { checkArchivedWal, listArchivedWal } from '../adapters/backup/wal-archive.js';
import {
  beginBaseBackup,
  describeDatabase,
  isLeftOut,
  type BaseBackup,
} from '../adapters/postgres/base-backup.js';
import { newId } from '../adapters/postgres/new-id.js';
import { createBackupKeys } from '../adapters/secrets/file-provider.js';
import type { Config } from '../config.js';
import type {
  BackupCreated,
  BackupFile,
  BackupManifest,
  BackupVerified,
} from '../domain/backup/contract.js';
import { sha256Hex } from '../domain/digest.js';
import { readFileKeys, toFileKey } from './backup-keys.js';
import { devAdminUrl } from './dev-services.js';

/** What lies in the state folder beside the database and is needed again; the rest is derived, secret or a log. */
const kept = ['audit', 'tour.json'];
const keyFolderOf = (stateDir: string): string => join(stateDir, 'keys');

/** Digests of the keys that sealed values and the database need. */
async function digestKeys(stateDir: string): Promise<BackupManifest['keys']> {
  const folder = keyFolderOf(stateDir);
  const { files } = await listFiles(folder, (path) => path.endsWith('.tmp'));
  return Promise.all(
    files.map(async (path) => ({ path, sha256: sha256Hex(await readFile(join(folder, path))) })),
  );
}

/** What one backup is written with. */
interface Writing {
  folder: string;
  key: FileKey;
  files: BackupFile[];
}

async function put(writing: Writing, from: string | Uint8Array, path: string): Promise<void> {
  const sealed = await sealFile(from, join(writing.folder, path), {
    key: writing.key,
    name: path,
    isDurable: false,
  });
  // Gone since it was listed: a table that was dropped, an upload that was given up. WAL says the same.
  if (sealed !== undefined)
    writing.files.push({ path, sha256: sealed.sha256, bytes: sealed.bytes });
}

/** Files that are read, encrypted and written at once. */
const AT_ONCE = 8;

async function inTurns<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const worker = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await work(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Copies the cluster, then the WAL that makes the copy consistent. */
async function copyCluster(writing: Writing, base: BaseBackup) {
  const { files, folders } = await listFiles(base.dataDir, isLeftOut);
  await inTurns(files, (path) => put(writing, join(base.dataDir, path), `cluster/${path}`));
  const end = await base.stop();
  await put(writing, Buffer.from(end.label), 'cluster/backup_label');
  for (const name of end.walFiles)
    await put(writing, join(base.dataDir, 'pg_wal', name), `wal/${name}`);
  const have = new Set(writing.files.map(({ path }) => path));
  for (const name of [end.firstWal, end.lastWal])
    if (!have.has(`wal/${name}`))
      throw new Error(`the server no longer has WAL segment ${name}: make the backup again`);
  return { end, folders };
}

/** Artifacts never change: one that the backup before holds is linked, not written again. */
async function copyArtifacts(writing: Writing, stateDir: string, before: string | undefined) {
  const known = new Map<string, BackupFile>();
  if (before !== undefined)
    for (const file of (await readManifest(before)).manifest.files) known.set(file.path, file);
  const root = join(stateDir, 'artifacts');
  const { files } = await listFiles(root, (path) => path.split('/').includes('.incoming'));
  for (const path of files.map((each) => `artifacts/${each}`)) {
    const earlier = known.get(path);
    const target = join(writing.folder, path);
    // What a run has staged is replaced under the same name; only what is named by its digest never changes.
    const linked =
      path.includes('/sha256/') &&
      earlier !== undefined &&
      before !== undefined &&
      (await mkdir(dirname(target), { recursive: true, mode: 0o700 })
        .then(() => link(join(before, path), target))
        .then(
          () => true,
          () => false,
        ));
    if (linked) writing.files.push(earlier);
    else await put(writing, join(stateDir, path), path);
  }
}

/** Makes a backup of a running installation. @throws with a sentence where the bundled Postgres does not answer */
export async function createBackup(config: Config, to: string | undefined): Promise<BackupCreated> {
  const startedMs = performance.now();
  const startedAt = new Date().toISOString();
  const root = to ?? config.backupDir;
  if (root === undefined) throw new Error('say where to: --to <folder>, or set ANNEAL_BACKUP_DIR');
  const { stateDir } = config;
  const newest = await createBackupKeys(keyFolderOf(stateDir))();
  const { version: keyVersion, key: secret } = newest;
  const adminUrl = await devAdminUrl(config);
  const before = (await listBackups(root)).at(-1);
  const backupId = newId('backup');
  const folder = join(root, backupId);
  const base = await beginBaseBackup(adminUrl, backupId).catch((error: unknown) => {
    const said = error instanceof Error ? error.message : String(error);
    throw new Error(`the bundled Postgres does not answer (${said}): start it with \`npm start\``);
  });
  const writing: Writing = { folder, key: toFileKey(newest), files: [] };
  try {
    const { end, folders } = await copyCluster(writing, base);
    const url = new URL(adminUrl);
    url.pathname = '/anneal';
    const database = await describeDatabase(url.toString());
    // After the database: whatever its rows name was written before them.
    await copyArtifacts(writing, stateDir, before);
    for (const path of kept) {
      const names = await readdir(join(stateDir, path)).catch(() => [undefined]);
      for (const name of names) {
        const file = name === undefined ? path : `${path}/${name}`;
        await put(writing, join(stateDir, file), `state/${file}`);
      }
    }
    await inTurns(writing.files, ({ path }) => syncFile(join(folder, path)));
    const manifest: BackupManifest = {
      v: 1,
      backupId,
      startedAt,
      stoppedAt: end.stoppedAt,
      postgres: {
        version: base.version,
        startLsn: base.startLsn,
        stopLsn: end.stopLsn,
        firstWal: end.firstWal,
        lastWal: end.lastWal,
      },
      ...database,
      keyVersion,
      keys: await digestKeys(stateDir),
      folders,
      files: writing.files,
      bytes: writing.files.reduce((sum, { bytes }) => sum + bytes, 0),
    };
    await writeManifest(folder, manifest, secret.reveal());
    return {
      folder,
      backupId,
      files: manifest.files.length,
      bytes: manifest.bytes,
      startLsn: base.startLsn,
      stopLsn: end.stopLsn,
      stoppedAt: end.stoppedAt,
      schema: database.schema.version,
      durationMs: Math.round(performance.now() - startedMs),
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  } finally {
    await base.close();
  }
}

/** The first thing about a backup that is not as its manifest says; undefined where all is. */
async function findFault(
  folder: string,
  manifest: BackupManifest,
): Promise<BackupVerified['fault']> {
  for (const { path, sha256, bytes } of manifest.files) {
    const found = await digestFile(join(folder, path));
    if (found === undefined) return { path, detail: 'is missing' };
    if (found.bytes !== bytes)
      return { path, detail: `has ${found.bytes} bytes, the manifest says ${bytes}` };
    if (found.sha256 !== sha256) return { path, detail: 'its bytes are not those of its digest' };
  }
  const known = new Set([...manifest.files.map(({ path }) => path), 'manifest.json']);
  const stranger = (await listFiles(folder)).files.find((path) => !known.has(path));
  return stranger === undefined ? null : { path: stranger, detail: 'is not in the manifest' };
}

/** The newest backup of the configured folder, where none is named. */
export async function chooseBackup(config: Config, folder: string | undefined): Promise<string> {
  if (folder !== undefined) return folder;
  const newest =
    config.backupDir === undefined ? undefined : (await listBackups(config.backupDir)).at(-1);
  if (newest === undefined)
    throw new Error('name the folder of a backup: there is none in ANNEAL_BACKUP_DIR');
  return newest;
}

/** What is known of a backup once every byte of it was read again. */
export async function verifyBase(
  folder: string,
  keys: string,
): Promise<{ manifest: BackupManifest; fault: BackupVerified['fault'] }> {
  const { manifest, isAuthentic } = await readManifest(folder);
  const { key } = await createBackupKeys(keys)(manifest.keyVersion);
  const fault = isAuthentic(key.reveal())
    ? await findFault(folder, manifest)
    : { path: 'manifest.json', detail: 'was changed, or belongs to another key' };
  return { manifest, fault };
}

/**
 * Reads every byte of a backup again and compares it with the manifest, and the manifest with its MAC; then opens what is
 * archived beyond it and looks for gaps.
 * @param keys folder of the keys that all of it was sealed with
 */
export async function verifyBackup(folder: string, keys: string): Promise<BackupVerified> {
  const base = await verifyBase(folder, keys);
  const { postgres, backupId, files, bytes } = base.manifest;
  const archive = dirname(resolve(folder));
  const wal = await checkArchivedWal(archive, postgres, await readFileKeys(keys));
  const beyond = (await listArchivedWal(archive)).filter(
    (name) => name.slice(0, 24) > postgres.lastWal,
  );
  const fault = base.fault ?? wal.fault;
  return {
    folder,
    backupId,
    status: fault === null ? 'intact' : 'broken',
    files: files.length,
    bytes,
    archivedWal: beyond.length,
    walEnd: wal.end,
    fault,
  };
}
