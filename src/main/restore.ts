import { chmod, chown, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { listFiles } from '../adapters/backup/list-files.js';
import { readManifest } from '../adapters/backup/manifest-file.js';
import { fileKeyOf, openSealedFile } from '../adapters/backup/sealed-file.js';
import { archivedWalPath, listArchivedWal, walSealName } from '../adapters/backup/wal-archive.js';
import { migrationNames } from '../adapters/postgres/base-backup.js';
import { endOrphan } from '../adapters/postgres/create-cluster.js';
import { locatePostgres } from '../adapters/postgres/locate-postgres.js';
import type { PostgresLocation } from '../adapters/postgres/postgres-location.js';
import { serverProcesses } from '../adapters/processes/server-processes.js';
import { createBackupKeys } from '../adapters/secrets/file-provider.js';
import { childEnv, type Config } from '../config.js';
import type { BackupManifest, BackupRestored, RestoreRequest } from '../domain/backup/contract.js';
import { restoreRefusals } from '../domain/backup/judge-restore.js';
import { sha256Hex } from '../domain/digest.js';
import { verifyBackup } from './backup.js';
import { endLeftBehindProcesses } from './dev-processes.js';
import { lockState, startPostgresWith, unlockState } from './dev-services.js';
import { projectFolder } from './project-folder.js';
import { witnessRestore } from './witness-restore.js';

type Say = (line: string) => void;

/** WAL that the server reads while it recovers, in its data folder. */
const WAL_IN = 'anneal_wal_in';
/** A recovery replays a day of WAL in minutes. */
const RECOVERY_MS = 3_600_000;

/** What one restore works with. */
interface Restore {
  config: Config;
  folder: string;
  manifest: BackupManifest;
  key: Uint8Array;
  location: PostgresLocation;
  at: string | undefined;
}

const isThere = (path: string): Promise<boolean> =>
  readdir(path).then(
    () => true,
    () => false,
  );

/** What a folder for a restore may hold: kept keys and checkpoints, and what a start leaves in it. */
const expected = new Set([
  'keys',
  'keys.json',
  'audit',
  'logs',
  'start.pid',
  'postgres-location.json',
]);

async function strangersIn(stateDir: string): Promise<string[]> {
  const found = await readdir(stateDir).catch(() => []);
  const cluster = await readdir(join(stateDir, 'postgres')).catch(() => []);
  return found.filter((name) => !expected.has(name) && (name !== 'postgres' || cluster.length > 0));
}

/** Keys must be those that the backup was made with, or what is sealed in it stays so. */
async function checkKeys(manifest: BackupManifest, folder: string): Promise<void> {
  for (const { path, sha256 } of manifest.keys) {
    const found = await readFile(join(folder, path)).catch(() => undefined);
    if (found === undefined || sha256Hex(found) !== sha256)
      throw new Error(
        `${join(folder, path)} is ${found === undefined ? 'missing' : 'another key'} than when the backup was made: ` +
          'put the kept keys there, or give their folder with --keys',
      );
  }
}

/** Brings the keys along where the target has none of its own. */
async function bringKeys(from: string, stateDir: string): Promise<void> {
  const to = join(stateDir, 'keys');
  if (resolve(from) === resolve(to)) return;
  for (const path of (await listFiles(from)).files) {
    const target = join(to, path);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await writeFile(target, await readFile(join(from, path)), { mode: 0o600, flag: 'wx' }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      },
    );
  }
}

/** Gives everything below a folder to the account that the server runs as. */
async function own(folder: string, { account }: PostgresLocation): Promise<void> {
  const { files, folders } = await listFiles(folder);
  for (const path of ['', ...folders, ...files]) {
    const full = join(folder, path);
    await chmod(full, files.includes(path) ? 0o600 : 0o700);
    if (account !== undefined) await chown(full, account.uid, account.gid);
  }
}

/** Decrypts cluster and WAL beside the place where they belong. */
async function unpackCluster(restore: Restore, fresh: string): Promise<void> {
  const { folder, manifest, key } = restore;
  await mkdir(fresh, { recursive: true, mode: 0o700 });
  for (const path of manifest.folders) await mkdir(join(fresh, path), { recursive: true });
  const open = (from: string, to: string, name: string) =>
    // The server brings its files to the disk before it recovers.
    openSealedFile(from, join(fresh, to), { key, name, isDurable: false });
  for (const { path } of manifest.files) {
    if (path.startsWith('cluster/')) await open(join(folder, path), path.slice(8), path);
    if (path.startsWith('wal/')) await open(join(folder, path), `${WAL_IN}/${path.slice(4)}`, path);
  }
  const archive = dirname(folder);
  for (const name of await listArchivedWal(archive))
    if (name.endsWith('.history') || name.slice(8, 24) >= manifest.postgres.firstWal.slice(8))
      await open(archivedWalPath(archive, name), `${WAL_IN}/${name}`, walSealName(name));
  await writeFile(join(fresh, 'recovery.signal'), '');
  await own(fresh, restore.location);
}

/** Decrypts artifacts and the rest of the state that is not there already. */
async function unpackState({ config, folder, manifest, key }: Restore): Promise<void> {
  for (const { path } of manifest.files) {
    const inside = path.startsWith('state/') ? path.slice(6) : path;
    if (!path.startsWith('state/') && !path.startsWith('artifacts/')) continue;
    const target = join(config.stateDir, inside);
    const known = await readFile(target).then(
      () => true,
      () => false,
    );
    // Artifacts are addressed by their digest; checkpoints that lie there are newer than those of the backup.
    if (!known) await openSealedFile(join(folder, path), target, { key, name: path });
  }
}

const recovery = (at: string | undefined): Record<string, string> => ({
  restore_command: `cp "${WAL_IN}/%f" "%p"`,
  recovery_target_action: 'promote',
  // Ready means recovered: nobody reads meanwhile.
  hot_standby: 'off',
  // The names of time zones are not known this early in a start, and `Z` is one.
  ...(at === undefined ? {} : { recovery_target_time: at.replace('T', ' ').replace('Z', '+00') }),
});

/** Starts the server on what was unpacked and lets it replay; then everything that follows from an earlier point. */
async function recover(restore: Restore, say: Say) {
  const { config, manifest, at } = restore;
  const { server, urls } = await startPostgresWith(config, say, {
    keep: (_name, start) => start(),
    settings: recovery(at),
    readyTimeoutMs: RECOVERY_MS,
  });
  try {
    const admin = new URL(server.adminUrl);
    admin.pathname = '/anneal';
    const url = admin.toString();
    return await witnessRestore({ config, manifest, urls, adminUrl: url, say });
  } finally {
    await server.stop();
    await rm(join(restore.location.clusterDir, WAL_IN), { recursive: true, force: true });
  }
}

/** Puts the unpacked cluster in place and recovers it; where that fails, what was there before is there again. */
async function replaceCluster(restore: Restore, say: Say) {
  const { clusterDir } = restore.location;
  const fresh = `${clusterDir}.restored-${restore.manifest.backupId}`;
  const aside = `${clusterDir}.before-restore-${Date.now()}`;
  await rm(fresh, { recursive: true, force: true });
  await unpackCluster(restore, fresh);
  const hadOne = await isThere(clusterDir);
  if (hadOne) await rename(clusterDir, aside);
  await rename(fresh, clusterDir);
  try {
    return { ...(await recover(restore, say)), setAside: hadOne ? aside : null };
  } catch (error) {
    await rm(clusterDir, { recursive: true, force: true });
    if (hadOne) await rename(aside, clusterDir);
    throw error;
  }
}

/** Looks at everything that can be refused before anything is changed. */
async function prepare(
  config: Config,
  request: RestoreRequest,
  say: Say,
): Promise<{ restore: Restore; keys: string }> {
  const folder = resolve(request.folder);
  const keys = resolve(request.keys ?? join(config.stateDir, 'keys'));
  const verified = await verifyBackup(folder, keys);
  if (verified.fault !== null)
    throw new Error(`the backup is broken: ${verified.fault.path} ${verified.fault.detail}`);
  const { manifest } = await readManifest(folder);
  await checkKeys(manifest, keys);
  const location = await locatePostgres({
    stateDir: config.stateDir,
    env: childEnv(),
    log: say,
    processes: serverProcesses,
  });
  const refusals = restoreRefusals({
    manifest,
    atMs: request.at === undefined ? undefined : Date.parse(request.at),
    nowMs: Date.now(),
    knownMigrations: await migrationNames(projectFolder('prisma/migrations')),
    targetHasDatabase: await isThere(location.clusterDir),
    replace: request.replace,
  });
  if (refusals.length > 0) throw new Error(refusals.join('\n'));
  const { key } = await createBackupKeys(keys)(manifest.keyVersion);
  const restore = { config, folder, manifest, key: fileKeyOf(key.reveal()), location };
  return { restore: { ...restore, at: request.at }, keys };
}

/**
 * Restores a backup into a state folder whose platform does not run: database → audit verified to its last checkpoint →
 * epochs raised. What is left, the reconciliation with Temporal, is done by the next start before anything serves.
 * @throws with every reason where it is refused; nothing is changed then
 */
export async function restoreBackup(
  given: Config,
  request: RestoreRequest,
  say: Say,
): Promise<BackupRestored> {
  const startedMs = performance.now();
  const stateDir = request.to === undefined ? given.stateDir : resolve(request.to);
  const config: Config = { ...given, stateDir };
  const strangers = await strangersIn(stateDir);
  await lockState(stateDir);
  try {
    if (strangers.length > 0 && request.to !== undefined && !request.replace)
      throw new Error(
        `${stateDir} is not empty (${strangers[0]}): give --replace, or --to another folder`,
      );
    await endLeftBehindProcesses(stateDir, say);
    const { restore, keys } = await prepare(config, request, say);
    await endOrphan(restore.location.clusterDir, { processes: serverProcesses, log: say });
    await bringKeys(keys, stateDir);
    await unpackState(restore);
    const recovered = await replaceCluster(restore, say);
    return {
      ...recovered,
      backupId: restore.manifest.backupId,
      stateDir,
      steps: [
        `database: recovered to ${recovered.recoveredTo}`,
        'erasure ledger: none, because there are no erasures yet',
        `audit: ${recovered.audit.length} chains verified, ${recovered.lost.length} end earlier than was witnessed`,
        `epochs: ${recovered.epochs} raised`,
        'Temporal: reconciled by the next start, before anything serves',
      ],
      durationMs: Math.round(performance.now() - startedMs),
    };
  } finally {
    await unlockState(stateDir);
  }
}
