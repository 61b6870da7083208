import {
  access,
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { listFiles } from '../adapters/backup/list-files.js';
import { openSealedFile, SealedFileError, type FileKeys } from '../adapters/backup/sealed-file.js';
import { findMirroredCheckpoints } from '../adapters/backup/state-mirror.js';
import { listArchivedWal, openArchivedWal, readWalPath } from '../adapters/backup/wal-archive.js';
import { migrationNames } from '../adapters/postgres/base-backup.js';
import { endOrphan } from '../adapters/postgres/create-cluster.js';
import { locatePostgres } from '../adapters/postgres/locate-postgres.js';
import type { PostgresLocation } from '../adapters/postgres/postgres-location.js';
import { serverProcesses } from '../adapters/processes/server-processes.js';
import { childEnv, type Config } from '../config.js';
import type { BackupManifest, BackupRestored, RestoreRequest } from '../domain/backup/contract.js';
import { restoreRefusals } from '../domain/backup/judge-restore.js';
import { parseSegment, segmentOfLsn, type WalPath } from '../domain/backup/wal-path.js';
import { sha256Hex } from '../domain/digest.js';
import { verifyBase } from './backup.js';
import { readFileKeys } from './backup-keys.js';
import { endLeftBehindProcesses } from './dev-processes.js';
import { archiving, lockState, startPostgresWith, unlockState } from './dev-services.js';
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
  /** Every version: files that a backup shares with those before, and WAL after it, may be under others than its own. */
  keys: FileKeys;
  wal: WalPath;
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

/** Nothing is restored past WAL that cannot be read, and nothing earlier than asked without a word. */
function refuseUnreadable(error: unknown): never {
  if (!(error instanceof SealedFileError)) throw error;
  throw new Error(
    `archived WAL cannot be read: ${error.message}; to restore as far as the WAL before it reaches, move that file away`,
    { cause: error },
  );
}

/** Decrypts cluster and WAL beside the place where they belong. */
async function unpackCluster(restore: Restore, fresh: string): Promise<void> {
  const { folder, manifest, keys } = restore;
  await mkdir(fresh, { recursive: true, mode: 0o700 });
  for (const path of manifest.folders) await mkdir(join(fresh, path), { recursive: true });
  const open = (from: string, to: string, name: string) =>
    // The server brings its files to the disk before it recovers.
    openSealedFile(from, join(fresh, to), { keys, name, isDurable: false });
  for (const { path } of manifest.files) {
    if (path.startsWith('cluster/')) await open(join(folder, path), path.slice(8), path);
    if (path.startsWith('wal/')) await open(join(folder, path), `${WAL_IN}/${path.slice(4)}`, path);
  }
  const archive = dirname(folder);
  const archived = await listArchivedWal(archive);
  const histories = archived.filter((name) => name.endsWith('.history'));
  for (const name of [...histories, ...restore.wal.segments])
    await openArchivedWal(archive, name, { to: join(fresh, WAL_IN, name), keys }).catch(
      refuseUnreadable,
    );
  await writeFile(join(fresh, 'recovery.signal'), '');
  await own(fresh, restore.location);
}

/** Decrypts artifacts and the rest of the state that is not there already. */
async function unpackState({ config, folder, manifest, keys }: Restore): Promise<void> {
  for (const { path } of manifest.files) {
    const inside = path.startsWith('state/') ? path.slice(6) : path;
    if (!path.startsWith('state/') && !path.startsWith('artifacts/')) continue;
    const target = join(config.stateDir, inside);
    const known = await readFile(target).then(
      () => true,
      () => false,
    );
    // Artifacts are addressed by their digest; checkpoints that lie there are newer than those of the backup.
    if (!known) await openSealedFile(join(folder, path), target, { keys, name: path });
  }
}

/** Decrypts the newest checkpoints that were shipped, where they go on after those of the backup and of the state folder. */
async function unpackCheckpoints({ config, folder, manifest, keys }: Restore): Promise<void> {
  const mirrored = await findMirroredCheckpoints(dirname(folder));
  if (mirrored === undefined) return;
  const { name } = mirrored;
  const inBackup = manifest.files.find(({ path }) => path === `state/${name}`)?.bytes ?? 0;
  const target = join(config.stateDir, name);
  const isKnown = await access(target).then(
    () => true,
    () => false,
  );
  // The file only grows: the longer one has all of the other.
  if (!isKnown && mirrored.bytes > inBackup)
    await openSealedFile(mirrored.path, target, { keys, name });
}

const timelineOf = (segment: string): number | undefined => parseSegment(segment)?.timeline;

const recovery = ({ config, manifest, wal, at }: Restore): Record<string, string> => ({
  // The restored life begins a timeline: without its history in the archive nobody could follow it later.
  ...(config.backupDir === undefined ? {} : archiving),
  recovery_target_timeline:
    wal.timeline === timelineOf(manifest.postgres.lastWal) ? 'current' : String(wal.timeline),
  restore_command: `cp "${WAL_IN}/%f" "%p"`,
  recovery_target_action: 'promote',
  // Ready means recovered: nobody reads meanwhile.
  hot_standby: 'off',
  // The names of time zones are not known this early in a start, and `Z` is one.
  ...(at === undefined ? {} : { recovery_target_time: at.replace('T', ' ').replace('Z', '+00') }),
});

/** Starts the server on what was unpacked and lets it replay; then everything that follows from an earlier point. */
async function recover(restore: Restore, say: Say) {
  const { config, manifest } = restore;
  const { server, urls } = await startPostgresWith(config, say, {
    keep: (_name, start) => start(),
    settings: recovery(restore),
    readyTimeoutMs: RECOVERY_MS,
  });
  try {
    const admin = new URL(server.adminUrl);
    admin.pathname = '/anneal';
    const url = admin.toString();
    return await witnessRestore({
      ...{ config, manifest, urls, adminUrl: url, say },
      backupFolder: dirname(restore.folder),
      keys: restore.keys,
    });
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
    const { at, wal } = restore;
    if (at === undefined) throw error;
    const said = error instanceof Error ? error.message : String(error);
    throw new Error(`${said}\narchived WAL reaches to ${wal.end}${gapOf(wal)}`, { cause: error });
  }
}

const gapOf = ({ gap }: WalPath): string =>
  gap === null
    ? ''
    : `: ${gap.missing} is missing${gap.next === null ? '' : `, although WAL goes on at ${gap.next}`}`;

/** Why the end of the database is earlier than was asked for; empty where it is not. */
function earlierThanAsked({ at, wal }: Restore, replayedTo: string): string[] {
  // A recovery to a point in time fails where it does not reach it.
  if (at !== undefined) return [];
  const ended = segmentOfLsn(replayedTo);
  if (ended < (parseSegment(wal.end)?.number ?? 0))
    return [
      `recovery ended at ${replayedTo}, although WAL is there to ${wal.end}: postgres.log says why`,
    ];
  return wal.gap === null ? [] : [`recovery ended with ${wal.end}${gapOf(wal)}`];
}

/** Looks at everything that can be refused before anything is changed. */
async function prepare(
  config: Config,
  request: RestoreRequest,
  say: Say,
): Promise<{ restore: Restore; keys: string }> {
  const folder = resolve(request.folder);
  const keys = resolve(request.keys ?? join(config.stateDir, 'keys'));
  const { manifest, fault } = await verifyBase(folder, keys);
  if (fault !== null) throw new Error(`the backup is broken: ${fault.path} ${fault.detail}`);
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
  const fileKeys = await readFileKeys(keys);
  const lastWal = manifest.postgres.lastWal;
  const wal = await readWalPath(dirname(folder), lastWal, fileKeys).catch(refuseUnreadable);
  const restore = { config, folder, manifest, keys: fileKeys, wal, location };
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
    await unpackCheckpoints(restore);
    await unpackState(restore);
    const { replayedTo, ...recovered } = await replaceCluster(restore, say);
    return {
      ...recovered,
      walEnd: restore.wal.end,
      findings: [
        ...earlierThanAsked(restore, replayedTo),
        ...recovered.missingArtifacts.map((ref) => `artifact ${ref} is named by a row and missing`),
      ],
      backupId: restore.manifest.backupId,
      stateDir,
      steps: [
        `database: recovered to ${recovered.recoveredTo}, WAL to ${replayedTo}`,
        'erasure ledger: none, because there are no erasures yet',
        `audit: ${recovered.audit.length} chains verified, ${recovered.lost.length} end earlier than was witnessed`,
        `artifacts: ${recovered.missingArtifacts.length} that rows name are missing`,
        `epochs: ${recovered.epochs} raised`,
        'Temporal: reconciled by the next start, before anything serves',
      ],
      durationMs: Math.round(performance.now() - startedMs),
    };
  } finally {
    await unlockState(stateDir);
  }
}
